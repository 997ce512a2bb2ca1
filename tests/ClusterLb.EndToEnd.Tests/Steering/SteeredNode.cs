using System.Text;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Tun;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;
using Microsoft.Win32.SafeHandles;
using LabTool = ClusterLb.Lab.Stage.Tool;

namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>A node in a network namespace of its own, with an uplink, a state directory, and steering that acts inside.</summary>
internal sealed class SteeredNode : IDisposable
{
    private static int _count;

    private readonly NetworkNamespace _namespace;
    private readonly string _stateDirectory;
    private IReadOnlyList<SafeFileHandle> _queues = [];

    public SteeredNode(bool ipv6 = true)
    {
        string name = $"clbsteer-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}";
        _stateDirectory = Path.Combine("/dev/shm", name);
        Directory.CreateDirectory(_stateDirectory);
        LabTool.Run("ip", ["netns", "add", name]);
        _namespace = new NetworkNamespace(name);
        Ip("link set lo up");
        Ip("link add up0 mtu 1400 type veth peer up1");
        Ip("link set up0 addrgenmode none"); // link-local addresses come by and by, which is no change of ours
        Ip("link set up1 addrgenmode none");
        Ip("link set up1 up");
        Ip("link set up0 up");
        Ip("addr add 10.0.0.1/24 dev up0");
        if (ipv6)
        {
            Ip("addr add fd00::1/64 dev up0 nodad");
        }

        Inputs = new SteeringInputs
        {
            Device = "clb0",
            Options = new SteeringOptions(),
            Mtu = 1400,
            Ipv4 = new SteeringFamily { IsIpv6 = false, Source = IpAddr.Parse("10.0.0.1"), Destinations = [IpPrefix.Parse("10.96.0.0/12")] },
            Ipv6 = ipv6
                ? new SteeringFamily { IsIpv6 = true, Source = IpAddr.Parse("fd00::1"), Destinations = [IpPrefix.Parse("fd00:10:96::/108")] }
                : null,
        };
    }

    public SteeringInputs Inputs { get; }

    public string StateDirectory => _stateDirectory;

    /// <summary>A new steering object, as a started agent has: it knows only what stands in the state directory.</summary>
    public NodeSteering Steering() => new(_stateDirectory, Log);

    /// <summary>What steering logged, warnings and all else.</summary>
    public LogLines Log { get; } = new();

    public T Inside<T>(Func<T> work) => _namespace.Run(work);

    /// <summary>Claims, creates the device if it is not there, and applies; returns the number of changes.</summary>
    public int Install(SteeringInputs? inputs = null) => Inside(() =>
    {
        NodeSteering steering = Steering();
        steering.Claim((inputs ?? Inputs).Device, (inputs ?? Inputs).Options);
        if (_queues.Count == 0)
        {
            _queues = TunDeviceFactory.Open(new TunOptions { Name = (inputs ?? Inputs).Device, Queues = 2 }, out _);
        }

        return steering.Apply(inputs ?? Inputs).Count;
    });

    public bool Remove() => Inside(() => Steering().Remove());

    public string Ip(string command) => LabTool.Run("ip", ["-n", _namespace.Name, .. command.Split(' ')]);

    public string Nft(string command) => Exec($"nft {command}");

    public string Exec(string command) => LabTool.Run("nsenter", [$"--net={_namespace.Path}", .. command.Split(' ')]);

    public string Sysctl(string name) => _namespace.ReadText($"/proc/sys/net/{name}").TrimEnd();

    public void SetSysctl(string name, string value) => Inside(() =>
    {
        File.WriteAllText($"/proc/sys/net/{name}", value);
        return true;
    });

    /// <summary>Everything that ClusterLb could have changed, as text to compare.</summary>
    public string State()
    {
        var state = new StringBuilder();
        foreach (string command in (string[])["-d -4 rule", "-d -6 rule", "-4 route show table all", "-6 route show table all", "-o link", "-o addr"])
        {
            state.AppendLine(command).AppendLine(Ip(command));
        }

        return state.AppendLine(Nft("list ruleset")).AppendLine(Inside(Settings)).ToString();
    }

    public void CloseQueues()
    {
        foreach (SafeFileHandle queue in _queues)
        {
            queue.Dispose();
        }

        _queues = [];
    }

    public void Dispose()
    {
        CloseQueues();
        Log.Dispose();
        LabTool.Try("ip", ["netns", "del", _namespace.Name]);
        Directory.Delete(_stateDirectory, recursive: true);
    }

    private static string Settings()
    {
        var lines = new StringBuilder();
        foreach (string path in Directory.EnumerateFiles("/proc/sys/net/", "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            try
            {
                lines.AppendLine($"{path} {File.ReadAllText(path).TrimEnd()}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Some settings can only be written, or are not set: the stable secret of IPv6 addresses.
            }
        }

        return lines.ToString();
    }
}
