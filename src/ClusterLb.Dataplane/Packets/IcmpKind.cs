namespace ClusterLb.Dataplane.Packets;

/// <summary>What an ICMP or ICMPv6 message is to a load balancer.</summary>
public enum IcmpKind : byte
{
    /// <summary>Not ICMP, or a fragment that does not show its header.</summary>
    None = 0,

    /// <summary>Ping.</summary>
    EchoRequest = 1,

    /// <summary>The answer to a ping.</summary>
    EchoReply = 2,

    /// <summary>An error about another packet, the beginning of which it quotes.</summary>
    Error = 3,

    /// <summary>Anything else: redirects, neighbour discovery, multicast listeners, timestamps. None of it crosses a router to a service.</summary>
    Other = 4,
}
