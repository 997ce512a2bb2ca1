using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Replay;

/// <summary>A flow as an onlooker sees it: from the packets alone, and from the node's timeouts.</summary>
/// <remarks>Shares nothing with the flow table on purpose: it is what the table is checked by.</remarks>
internal sealed class WatchedFlow(FlowTuple original, FlowTuple reply, uint servicePortId, uint backendId)
{
    private const uint MostHalfClosedSeconds = 3600;

    private bool _clientFinished;
    private bool _backendFinished;
    private bool _isReset;

    /// <summary>Client to frontend.</summary>
    public FlowTuple Original => original;

    /// <summary>Backend to client, or to the masquerade address.</summary>
    public FlowTuple Reply => reply;

    /// <summary>Key of the serving map, with <see cref="BackendId"/>.</summary>
    public uint ServicePortId => servicePortId;

    /// <summary>Who it went to.</summary>
    public uint BackendId => backendId;

    /// <summary>When it is forgotten if no packet follows.</summary>
    public long ExpiresMs { get; private set; }

    /// <summary>The backend has sent something.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>Both ends have spoken, and the client knows it. No flood may take such a flow.</summary>
    public bool IsEstablished { get; private set; }

    /// <summary>The backend has said "port unreachable": it is forgotten.</summary>
    public bool IsTold { get; set; }

    /// <summary>TCP: one side has finished.</summary>
    public bool IsHalfClosed => _clientFinished || _backendFinished;

    /// <summary>TCP: over.</summary>
    public bool IsClosing => _isReset || (_clientFinished && _backendFinished);

    /// <summary>A packet of it.</summary>
    public void See(bool isReply, TcpFlags flags, in NodeEntry node, long nowMs)
    {
        bool isTcp = original.Protocol == IpProtocol.Tcp;
        IsEstablished |= !isReply && IsAnswered && (!isTcp || (flags & TcpFlags.Syn) == TcpFlags.None);
        IsAnswered |= isReply;
        bool isFin = (flags & TcpFlags.Fin) != TcpFlags.None;
        _clientFinished |= isFin && !isReply;
        _backendFinished |= isFin && isReply;
        _isReset |= (flags & TcpFlags.Rst) != TcpFlags.None;
        ExpiresMs = nowMs + (1000L * TimeoutSeconds(node));
    }

    private uint TimeoutSeconds(in NodeEntry node) => original.Protocol switch
    {
        IpProtocol.Udp => IsAnswered ? node.UdpStreamTimeoutSeconds : node.UdpTimeoutSeconds,
        IpProtocol.Tcp when IsClosing => node.TcpClosingTimeoutSeconds,
        IpProtocol.Tcp when !IsEstablished => node.TcpSynTimeoutSeconds,
        IpProtocol.Tcp when IsHalfClosed => Math.Min(MostHalfClosedSeconds, node.TcpEstablishedTimeoutSeconds),
        IpProtocol.Tcp => node.TcpEstablishedTimeoutSeconds,
        _ => node.GenericTimeoutSeconds,
    };
}
