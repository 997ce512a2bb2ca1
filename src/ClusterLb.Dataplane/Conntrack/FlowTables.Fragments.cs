using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <content>Fragmented datagrams: what their first fragments told (docs/icmp-and-fragments.md).</content>
public sealed partial class FlowTables
{
    private const string FragmentsName = "fragments";

    // Looked at for every place that the flows' sweep looks at: the table is small, and lookups see for themselves what has expired.
    private const int SweepsPerFragmentSweep = 16;

    /// <summary>Fragmented datagrams that are remembered, expired ones that were not swept yet included.</summary>
    public int FragmentCount => _fragments.Count;

    /// <inheritdoc cref="FragmentTable.Remember"/>
    public FragmentResult RememberFragment(in FlowTuple first, uint id, long nowMs) => _fragments.Remember(first, id, nowMs);

    /// <inheritdoc cref="FragmentTable.TryRecall"/>
    public bool TryRecallFragment(in FlowTuple later, uint id, bool isLast, long nowMs, out FlowTuple whole) =>
        _fragments.TryRecall(later, id, isLast, nowMs, out whole);

    /// <summary>The queue for fragments between two addresses, the same in both directions.</summary>
    /// <remarks>The kernel chooses the queue of a fragment by its addresses, for only the first has ports, and learns the choice from what is
    /// written. If each flow wrote to a queue of its own, two flows of one client would pull the fragments of a datagram apart.</remarks>
    public ushort QueueOfFragments(in FlowTuple tuple) => (ushort)(HashOf(tuple.Source) + HashOf(tuple.Destination));

    private ushort HashOf(IpAddr address) => (ushort)(SeededHash.Of(address, _fragments.File.Seed0, _fragments.File.Seed1) >> 48);

    private static MapFile OpenFragments(string directory, int capacity, List<MapFileReport> reports) =>
        Open(directory, FragmentTable.SpecOf(FragmentsName, capacity), upgrade: (_, _) => true, reports); // what is lost is milliseconds old
}
