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
                || ((node & NodeFlags.NoLocalDetection) == NodeFlags.None && !sender.IsPod);
        }

        // R23: always under policy Cluster. R20 under Local: only this node, which reaches backends of other nodes then.
        return !frontend.IsExternalLocal || (sender.IsThisNode && !sender.IsPod);
    }
}
