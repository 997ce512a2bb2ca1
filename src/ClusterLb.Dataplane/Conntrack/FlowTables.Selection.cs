namespace ClusterLb.Dataplane.Conntrack;

/// <content>What the selection algorithms remember, for all workers together (docs/algorithms.md).</content>
public sealed partial class FlowTables
{
    /// <summary>Flows of this node that a backend has now: those of services that compare them (<see cref="FlowFlags.Counted"/>), without
    /// the closing ones.</summary>
    public uint ActiveFlows(uint backendId) => _active.Of(backendId);

    /// <summary>Whose turn it is. Each number is given once, in order.</summary>
    /// <param name="key">Names the set of slots; not 0.</param>
    /// <param name="first">Where to begin if it has no turn yet.</param>
    public uint NextTurn(uint key, uint first) => _turns.Next(key, first);
}
