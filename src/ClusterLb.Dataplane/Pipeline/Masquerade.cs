using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>When a backend must not see the client's address, but this node's.</summary>
internal static class Masquerade
{
    /// <summary>The rules R20 and R22 to R24 of Service traffic.</summary>
    public static bool IsNeeded(in Frontend frontend, in Sender sender, NodeFlags node, IpAddr source, IpAddr backend)
    {
        if (source == backend)
        {
            return true; // R24, hairpin: a pod drops packets from its own address
        }

        if (!frontend.IsExternal) // R22
        {
            return (node & NodeFlags.MasqueradeAll) != NodeFlags.None
                || (DetectsPods(node, source.IsIpv4) && !sender.IsPod);
        }

        // R23: always under policy Cluster. R20 under Local: only this node, which reaches backends of other nodes then.
        return !frontend.IsExternalLocal || (sender.IsThisNode && !sender.IsPod);
    }

    /// <summary>Each family has its detector, or none: with pod ranges of IPv4 only, nobody is masqueraded in IPv6.</summary>
    private static bool DetectsPods(NodeFlags node, bool isIpv4)
    {
        NodeFlags off = NodeFlags.NoLocalDetection | (isIpv4 ? NodeFlags.NoIpv4Detection : NodeFlags.NoIpv6Detection);
        return (node & off) == NodeFlags.None;
    }
}
