using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Remembers a flow under a source port by which its answers can be told from those of others. One worker's.</summary>
/// <remarks>
/// In this order, the first that is free towards the backend: the client's own port, if it is one of <see cref="SnatPortRanges"/>; a few
/// random ones of the first range, which is ours; the client's own port, whatever it is; any of both ranges. So the ports that this
/// node's own connections have, to a backend too (probes), are used only for backends with thousands of masqueraded flows.
/// Which ports are free is asked of the flow table itself: the reply tuple must not exist. Only for the last step it needs a pool,
/// a bit per port, where the search is one for a zero bit: it costs the same however few are left, and that there is none is known
/// without a try. Then a flow that has waited for an answer for some seconds gives its port up, if a few random tries find one: a
/// flood of forged SYNs holds every port towards its backend, but only until somebody honest comes.
/// </remarks>
internal sealed class SnatPortAllocator(FlowTables flows, RandomSource random)
{
    private const int TriesInFirstRange = 16; // with half of the range taken, all of them are one in 65,536 times

    // A pool does not know ports that were taken before it was opened. Each of these is found taken once, and then known. More than
    // these in one packet's time are there only after a restart with nearly all ports in use; the next packets go on here.
    private const int PoolTries = 64;

    // If most ports are a flood's, one of these is; if hardly any is, those who are refused cost no more than this.
    private const int DisplacementTries = 4;

    // Longer than a handshake takes with its first retransmission (RFC 6298: after 1 s).
    private const long HandshakeMs = 3_000;

    /// <summary>The ports that flows may get from now on.</summary>
    public SnatPortRanges Ranges { get; set; } = SnatPortRanges.Default;

    /// <summary>Creates the flow.</summary>
    /// <param name="flow">Its reply goes to the client's port.</param>
    /// <param name="isSafe">That port is one of the client's own, or of <see cref="SnatPortRanges"/>.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="created">The new flow.</param>
    /// <returns><see cref="CreateResult.ReplyTaken"/>: no port is free.</returns>
    public CreateResult TryCreate(in NewFlow flow, bool isSafe, long nowMs, out FlowHit created)
    {
        CreateResult result;
        if (isSafe)
        {
            result = flows.TryCreate(flow, nowMs, out created);
            if (result != CreateResult.ReplyTaken)
            {
                return result;
            }
        }

        for (int attempt = 0; attempt < TriesInFirstRange; attempt++)
        {
            result = TryCreate(flow, (ushort)(Ranges.First + random.Next((uint)Ranges.FirstCount)), nowMs, out created);
            if (result != CreateResult.ReplyTaken)
            {
                return result;
            }
        }

        if (!isSafe)
        {
            result = flows.TryCreate(flow, nowMs, out created);
            if (result != CreateResult.ReplyTaken)
            {
                return result;
            }
        }

        result = TryCreateFromPool(flow, nowMs, out created);
        for (int attempt = 0; attempt < DisplacementTries && result == CreateResult.ReplyTaken; attempt++)
        {
            result = TryCreate(
                flow with { DisplacesExpiringMs = flow.ExpiresMs - HandshakeMs }, Ranges.PortAt((int)random.Next((uint)Ranges.Count)), nowMs, out created);
        }

        return result;
    }

    private CreateResult TryCreateFromPool(in NewFlow flow, long nowMs, out FlowHit created)
    {
        SnatPortPools pools = flows.SnatPorts;
        FlowTuple remote = flow.Reply with { DestinationPort = 0 };
        for (int attempt = 0; attempt < PoolTries && pools.TryTake(remote, Ranges, random.Next((uint)Ranges.Count), out ushort port); attempt++)
        {
            CreateResult result = TryCreate(flow, port, nowMs, out created);
            if (result == CreateResult.Created)
            {
                return result;
            }

            if (result != CreateResult.ReplyTaken)
            {
                pools.Return(remote with { DestinationPort = port });
                return result;
            }
        }

        created = default;
        return CreateResult.ReplyTaken;
    }

    private CreateResult TryCreate(in NewFlow flow, ushort port, long nowMs, out FlowHit created) => flows.TryCreate(
        flow with { Reply = flow.Reply with { DestinationPort = port }, Flags = flow.Flags | FlowFlags.PortChanged }, nowMs, out created);
}
