namespace ClusterLb.Dataplane.Host;

/// <summary>What a dataplane took over from the one before it.</summary>
/// <param name="Flows">In the tables.</param>
/// <param name="Dropped">Words of the index that led nowhere, or to half a flow.</param>
/// <param name="Packets">Read by the one before, not yet written: carried on with.</param>
internal sealed record AdoptedFlows(int Flows, int Dropped, int Packets)
{
    /// <summary>For the log.</summary>
    public override string ToString() => $"{Flows} flows adopted, {Dropped} damaged entries dropped, {Packets} packets carried on with";
}
