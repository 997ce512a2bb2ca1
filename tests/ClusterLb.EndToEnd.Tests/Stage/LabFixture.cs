using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>One lab, shared by the tests of a collection.</summary>
public class LabFixture : IAsyncLifetime
{
    /// <summary>What a backend sees as its client, for <see cref="AssertAnswered"/>: the client itself.</summary>
    public const string Own = "own address and port";

    /// <summary>What a backend sees as its client, for <see cref="AssertAnswered"/>: the node that masquerades.</summary>
    public const string NodeA = "address of node-a";

    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private LabCluster? _lab;

    public LabCluster Lab => _lab ?? throw new InvalidOperationException("there is no lab: " + LabNeeds.Reason);

    public LabTopology Topology => Lab.Topology;

    /// <summary>What the lab is set up with.</summary>
    protected virtual LabTopology Initial => LabTopology.Default;

    protected virtual bool WithAgents => true;

    protected virtual int Queues => 2;

    /// <summary>Further lines of the agents' configuration.</summary>
    protected virtual LabSettings Settings => new();

    /// <summary>A letter or two, different for each fixture: labs of one run have different names.</summary>
    protected virtual string Tag => "m";

    public virtual async Task InitializeAsync()
    {
        if (LabNeeds.Reason is not null)
        {
            return;
        }

        _lab = await LabCluster.UpAsync(new LabOptions
        {
            Name = $"e2e{Tag}{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}",
            Program = LabProgram.Find(AppContext.BaseDirectory),
            Topology = Initial,
            WithAgents = WithAgents,
            Queues = Queues,
            Settings = Settings,
            EndsWithThisProcess = true,
        }, _ => { });
    }

    public virtual Task DisposeAsync()
    {
        _lab?.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>From a member of the lab to a service.</summary>
    public TrafficTarget To(string from, string service, bool ipv6, int port) =>
        TrafficTarget.Of(Lab, from, Topology.Service(service).ClusterIp(ipv6), port);

    /// <summary>From a member of the lab to a service's echo port, or HTTP port.</summary>
    public TrafficTarget To(string from, string service, bool ipv6, ConnectProtocol protocol) =>
        To(from, service, ipv6, protocol == ConnectProtocol.Http ? 80 : 7);

    public Task<Attempt> ConnectAsync(string from, string service, bool ipv6, ConnectProtocol protocol) =>
        Connector.OnceAsync(To(from, service, ipv6, protocol), protocol, Timeout);

    /// <summary>Runs clusterlb on a node with that node's state directory.</summary>
    public ToolResult Clusterlb(string node, params IReadOnlyList<string> arguments) => Tool.Try("nsenter",
        [$"--net={Lab.Namespace(node).Path}", .. Lab.Program, .. arguments, "--state-dir", Lab.Agent(node).StateDirectory]);

    /// <summary>What the dataplane of a node has counted.</summary>
    public PipelineCounters Counters(string node) => PipelineCounters.Read(Lab.Agent(node).StateDirectory);

    /// <summary>Forgets what all members have learned of narrow paths.</summary>
    public void ForgetPathMtus() =>
        Tool.Run("sh", ["-c", "for n; do ip -n $n route flush cache; ip -6 -n $n route flush cache table all; done", "sh",
            .. Topology.NamespaceOwners.Select(member => Lab.Namespace(member).Name)]);

    /// <summary>Runs any program in the network of a member and returns what it said.</summary>
    public string Exec(string member, params IReadOnlyList<string> command) =>
        Tool.Run("nsenter", [$"--net={Lab.Namespace(member).Path}", .. command]);

    /// <summary>On the nodes' side of every link.</summary>
    protected void SwitchOffloadsOff()
    {
        foreach (string node in LabNeeds.Reason is null ? Topology.Nodes.Select(n => n.Name) : [])
        {
            foreach (string device in (IEnumerable<string>)["eth0", .. Topology.Pods.Where(p => p.Node.Name == node && !p.HostNetwork).Select(p => p.NodeInterface)])
            {
                Exec(node, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off");
            }
        }
    }

    /// <summary>The right pod has answered, and has seen the right client: <see cref="Own"/> or <see cref="NodeA"/>.</summary>
    public void AssertAnswered(string what, Attempt attempt, string pod, string client)
    {
        Assert.True(attempt.Failure == "", $"{what}: {attempt.Failure} after {attempt.Elapsed.TotalMilliseconds:0} ms");
        Assert.Equal(pod, attempt.Answer!.Pod);
        LabNode node = Topology.Node("node-a");
        string seen = attempt.Answer.Client;
        bool isIpv4 = IPEndPoint.Parse(attempt.LocalAddress).AddressFamily == AddressFamily.InterNetwork;
        bool right = client == Own
            ? seen == attempt.LocalAddress
            : IPEndPoint.Parse(seen).Address.ToString() == (isIpv4 ? node.Ipv4 : node.Ipv6).ToString();
        Assert.True(right, $"{what}: the backend sees {seen}, but should see the {client} ({attempt.LocalAddress})");
    }

    /// <summary>What must hold after every test: no bad checksum was seen, and no packet to a service address left the nodes.</summary>
    public void AssertNoDamage()
    {
        foreach (string member in (IEnumerable<string>)[.. Topology.Nodes.Select(n => n.Name), .. Topology.Pods.Select(p => p.Name), LabTopology.ClientName])
        {
            foreach ((string counter, long value) in NetworkCounters.Read(Lab.Namespace(member)).Where(c => c.Key.EndsWith("InCsumErrors", StringComparison.Ordinal)))
            {
                Assert.True(value == 0, $"{member} received {value} packets with bad checksums ({counter})");
            }
        }

        Assert.True(Lab.LeakedPackets() == 0, $"{Lab.LeakedPackets()} packets to service addresses left a node by its default route");
    }

    /// <summary>Sends with more than one datagram per system call, as UDP offload does, and counts the answers.</summary>
    public static async Task<int> SendSegmentedAsync(TrafficTarget target, int segments, int segmentBytes)
    {
        const int SolUdp = 17;
        const int UdpSegment = 103;
        using Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(target.Address);
        socket.SetRawSocketOption(SolUdp, UdpSegment, BitConverter.GetBytes(segmentBytes));
        await socket.SendAsync(new byte[segments * segmentBytes]);
        int answers = 0;
        byte[] buffer = new byte[65536];
        using var limit = new CancellationTokenSource(Timeout);
        while (answers < segments && await socket.ReceiveAsync(buffer, limit.Token) > segmentBytes)
        {
            answers++;
        }

        return answers;
    }
}
