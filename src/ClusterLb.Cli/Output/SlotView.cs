using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>One slot of a frontend.</summary>
/// <param name="Slot">From 1.</param>
/// <param name="BackendId">Key of the backend map.</param>
/// <param name="Backend"><c>10.244.1.5:8080/TCP</c>; empty if the slot or its backend vanished while we read.</param>
/// <param name="State">active or terminating.</param>
internal sealed record SlotView(uint Slot, uint BackendId, string Backend, string State)
{
    /// <summary>The slots of the frontend <paramref name="frontend"/> (slot 0) in its scope.</summary>
    public static IReadOnlyList<SlotView> All(LbMaps maps, ServiceKey frontend, uint count)
    {
        var slots = new List<SlotView>();
        for (uint slot = 1; slot <= count; slot++)
        {
            if (maps.Services.TryLookup(frontend with { Slot = slot }, out ServiceEntry entry))
            {
                slots.Add(maps.Backends.TryLookup(entry.BackendId, out BackendEntry backend)
                    ? new SlotView(slot, entry.BackendId, Words.AddressOf(backend), Words.StateOf(backend.State))
                    : new SlotView(slot, entry.BackendId, "", ""));
            }
        }

        return slots;
    }

    /// <summary>Cilium's form: <c>1 => 10.217.0.107:80/TCP (active)</c>.</summary>
    public override string ToString() =>
        Backend.Length == 0 ? $"{Slot} => backend {BackendId} (gone)" : $"{Slot} => {Backend} ({State})";
}
