using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent;

/// <summary>Sizes and timeouts of the flow tables.</summary>
public sealed record ConntrackOptions
{
    /// <summary>How many flows the tables hold.</summary>
    public FlowCapacities Capacities { get; init; } = new();

    /// <summary>How long an established TCP flow may stay silent before it is forgotten.</summary>
    public TimeSpan TcpEstablishedTimeout { get; init; } = Seconds(Defaults.TcpEstablishedTimeoutSeconds);

    /// <summary>How long a TCP flow may wait for the answer to its SYN.</summary>
    public TimeSpan TcpSynTimeout { get; init; } = Seconds(Defaults.TcpSynTimeoutSeconds);

    /// <summary>How long a TCP flow is kept after FIN in both directions, or after RST.</summary>
    public TimeSpan TcpClosingTimeout { get; init; } = Seconds(Defaults.TcpClosingTimeoutSeconds);

    /// <summary>UDP with packets in one direction only.</summary>
    public TimeSpan UdpTimeout { get; init; } = Seconds(Defaults.UdpTimeoutSeconds);

    /// <summary>UDP with packets in both directions.</summary>
    public TimeSpan UdpStreamTimeout { get; init; } = Seconds(Defaults.UdpStreamTimeoutSeconds);

    /// <summary>SCTP and everything else.</summary>
    public TimeSpan GenericTimeout { get; init; } = Seconds(Defaults.GenericTimeoutSeconds);

    /// <summary>Source ports of masqueraded connections, in the order of preference.</summary>
    public SnatPortRanges SnatPorts { get; init; } = SnatPortRanges.Default;

    /// <summary>A TCP segment in the middle of a connection that is not known is dropped, instead of answered by a reset.</summary>
    public bool DropMidStream { get; init; }

    /// <summary>The API server's --service-node-port-range: ports of which masqueraded connections must keep clear.</summary>
    public SnatPortRanges NodePortRange { get; init; } = new(30_000, 32_767);

    /// <summary>Every problem.</summary>
    public IEnumerable<string> Problems()
    {
        foreach (string problem in Capacities.Problems())
        {
            yield return problem;
        }

        if (SnatPorts.Overlap(NodePortRange) is { } shared)
        {
            yield return $"conntrack.snatPorts are {SnatPorts}, but {shared} are node ports (conntrack.nodePortRange is {NodePortRange}): " +
                "choose ports outside of them.";
        }

        (string Name, TimeSpan Value)[] timeouts =
        [
            ("tcpEstablishedTimeout", TcpEstablishedTimeout), ("tcpSynTimeout", TcpSynTimeout),
            ("tcpClosingTimeout", TcpClosingTimeout), ("udpTimeout", UdpTimeout), ("udpStreamTimeout", UdpStreamTimeout),
            ("genericTimeout", GenericTimeout),
        ];
        foreach ((string name, TimeSpan value) in timeouts)
        {
            if (value < TimeSpan.FromSeconds(1) || value > TimeSpan.FromDays(30))
            {
                yield return $"conntrack.{name} is {value.TotalSeconds} s, but must be from one second to 30 days.";
            }
        }
    }

    /// <summary>Timeouts and ports as the dataplane reads them; addresses and flags are left at their defaults.</summary>
    public NodeEntry ToTimeouts() => new()
    {
        TcpSynTimeoutSeconds = (uint)TcpSynTimeout.TotalSeconds,
        TcpEstablishedTimeoutSeconds = (uint)TcpEstablishedTimeout.TotalSeconds,
        TcpClosingTimeoutSeconds = (uint)TcpClosingTimeout.TotalSeconds,
        UdpTimeoutSeconds = (uint)UdpTimeout.TotalSeconds,
        UdpStreamTimeoutSeconds = (uint)UdpStreamTimeout.TotalSeconds,
        GenericTimeoutSeconds = (uint)GenericTimeout.TotalSeconds,
        SnatPorts = SnatPorts,
    };

    private static NodeEntry Defaults => NodeEntry.Default;

    private static TimeSpan Seconds(uint seconds) => TimeSpan.FromSeconds(seconds);
}
