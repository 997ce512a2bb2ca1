using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>How long a flow may be silent before it is forgotten, in milliseconds.</summary>
public readonly record struct FlowTimeouts
{
    // kube-proxy's default for the kernel's CLOSE_WAIT: one side may finish long before the other, but not for a day.
    private const long HalfClosedMs = 3_600_000;

    private readonly long _synMs;
    private readonly long _establishedMs;
    private readonly long _halfClosedMs;
    private readonly long _closingMs;
    private readonly long _udpMs;
    private readonly long _udpStreamMs;
    private readonly long _genericMs;

    /// <summary>The timeouts of the node map.</summary>
    public FlowTimeouts(in NodeEntry node)
    {
        _synMs = node.TcpSynTimeoutSeconds * 1000L;
        _establishedMs = node.TcpEstablishedTimeoutSeconds * 1000L;
        _halfClosedMs = Math.Min(_establishedMs, HalfClosedMs);
        _closingMs = node.TcpClosingTimeoutSeconds * 1000L;
        _udpMs = node.UdpTimeoutSeconds * 1000L;
        _udpStreamMs = node.UdpStreamTimeoutSeconds * 1000L;
        _genericMs = node.GenericTimeoutSeconds * 1000L;
    }

    /// <summary>The timeout of a flow in this state.</summary>
    public long Of(IpProtocol protocol, FlowState state) => protocol switch
    {
        IpProtocol.Tcp when TcpFlow.IsClosing(state) => _closingMs,
        IpProtocol.Tcp when (state & FlowState.Established) == FlowState.None => _synMs,
        IpProtocol.Tcp when TcpFlow.IsHalfClosed(state) => _halfClosedMs,
        IpProtocol.Tcp => _establishedMs,
        IpProtocol.Udp => (state & FlowState.ReplySeen) != FlowState.None ? _udpStreamMs : _udpMs,
        _ => _genericMs,
    };
}
