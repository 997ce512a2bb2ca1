using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Replay;

/// <summary>A flow as an onlooker sees it: from the packets alone, and from the node's timeouts.</summary>
/// <remarks>Shares nothing with the flow table on purpose: it is what the table is checked by.</remarks>
internal sealed class WatchedFlow(FlowTuple original, FlowTuple reply, uint servicePortId, uint backendId, BackendGonePolicy? policy)
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

    /// <summary>What is to become of it when its backend leaves; null if the maps did not say when it began.</summary>
    public BackendGonePolicy? Policy => policy;

    /// <summary>When the backend's latest packet was sent on.</summary>
    public long AnsweredAtMs { get; private set; }

    /// <summary>TCP: its backend did not serve when orphans were looked for the last time.</summary>
    public bool IsOrphan { get; set; }

    /// <summary>It was an orphan once. Those that nobody answers are forgotten sooner than others, so that nothing can be said of when.</summary>
    public bool WasOrphan { get; set; }

    /// <summary>Its client was reset, since its backend is gone.</summary>
    public bool IsEnded { get; private set; }

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

    /// <summary>Which packet of all that were watched was the latest of it, parts aside.</summary>
    public long SeenAt { get; private set; }

    /// <summary>A packet of it.</summary>
    public void See(bool isReply, TcpFlags flags, in NodeEntry node, long packet, long nowMs)
    {
        SeenAt = packet;
        bool isTcp = original.Protocol == IpProtocol.Tcp;
        IsEstablished |= !isReply && IsAnswered && (!isTcp || (flags & TcpFlags.Syn) == TcpFlags.None);
        IsAnswered |= isReply;
        bool isFin = (flags & TcpFlags.Fin) != TcpFlags.None;
        _clientFinished |= isFin && !isReply;
        _backendFinished |= isFin && isReply;
        _isReset |= (flags & TcpFlags.Rst) != TcpFlags.None;
        AnsweredAtMs = isReply ? nowMs : AnsweredAtMs;
        Prolong(node, nowMs);
    }

    /// <summary>Its client, or its backend in the client's place, is reset.</summary>
    public void End(in NodeEntry node, long nowMs)
    {
        IsEnded = true;
        _isReset = true;
        Prolong(node, nowMs);
    }

    /// <summary>A part of a packet, which shows no control bits.</summary>
    public void Prolong(in NodeEntry node, long nowMs) =>
        ExpiresMs = nowMs + (1000L * TimeoutSeconds(node));

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
