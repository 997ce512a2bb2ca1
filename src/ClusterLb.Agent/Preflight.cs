using System.Globalization;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent;

/// <summary>What the agent needs of the machine, looked at before anything is changed.</summary>
internal static class Preflight
{
    internal const int NetAdmin = 12; // CAP_NET_ADMIN, capabilities(7)

    /// <summary>Every problem, each one line that says what to do.</summary>
    public static IEnumerable<string> Problems(AgentOptions options)
    {
        foreach (string problem in MachineProblems(options.Steering))
        {
            yield return problem;
        }

        if (SnatPortProblem(options.Conntrack.SnatPorts, Sysctls.LocalPortRange(), Sysctls.Read(Sysctls.ReservedPorts)) is { } snat)
        {
            yield return snat;
        }

        if (options.ManifestDirectory is not null && !Directory.Exists(options.ManifestDirectory))
        {
            // One that vanishes later is followed until it is back; one that is not there now is a typing mistake.
            yield return $"The directory of manifests '{options.ManifestDirectory}' does not exist.";
        }
    }

    /// <summary>Those that do not depend on what is served: rights, programs, the TUN driver.</summary>
    public static IEnumerable<string> MachineProblems(SteeringOptions steering)
    {
        if (!HasCapability(NetAdmin))
        {
            yield return "The agent needs CAP_NET_ADMIN in its network namespace: run it as root, or give the container NET_ADMIN.";
        }

        (string Tool, string Package)[] tools =
        [
            ("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux"),
            .. steering.AcceptForwarding ? new[] { ("iptables", "iptables"), ("ip6tables", "iptables") } : [],
        ];
        foreach ((string tool, string package) in tools)
        {
            if (Tool.Find(tool) is null)
            {
                yield return $"The program '{tool}' is not in PATH: install the package {package}.";
            }
        }

        if (!File.Exists("/dev/net/tun"))
        {
            yield return "/dev/net/tun does not exist: load the module (modprobe tun), or give the device to the container.";
        }
    }

    /// <summary>Ports of the configuration that the kernel gives to this node's own connections. The usual ones are cut to fit, see <see cref="SourcePorts"/>.</summary>
    /// <param name="wanted">conntrack.snatPorts.</param>
    /// <param name="ephemeral">net.ipv4.ip_local_port_range.</param>
    /// <param name="reserved">net.ipv4.ip_local_reserved_ports.</param>
    internal static string? SnatPortProblem(SnatPortRanges wanted, (int First, int Last) ephemeral, string? reserved)
    {
        if (wanted == SnatPortRanges.Default)
        {
            return null;
        }

        return SourcePorts.Taken(wanted, ephemeral, reserved) is { } taken
            ? $"conntrack.snatPorts are {wanted}, but the kernel gives {taken} to connections of this node itself " +
              $"(net.ipv4.ip_local_port_range is {ephemeral.First}-{ephemeral.Last}): choose ports outside of it, or reserve them by " +
              "net.ipv4.ip_local_reserved_ports."
            : null;
    }

    /// <summary>True if this process has an effective capability.</summary>
    internal static bool HasCapability(int number)
    {
        const string Field = "CapEff:";
        string? line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith(Field, StringComparison.Ordinal));
        return line is not null
            && ulong.TryParse(line.AsSpan(Field.Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong set)
            && (set >> number & 1) != 0;
    }
}
