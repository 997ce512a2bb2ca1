using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Conntrack;

/// <content>Session affinity: which backend a client had last at a service port (docs/conntrack.md).</content>
public sealed partial class FlowTables
{
    /// <summary>Clients that are pinned, expired ones that were not swept yet included.</summary>
    public int AffinityCount => _affinity4.Count + _affinity6.Count;

    /// <summary>Pins that were still good and had to go because a table was full.</summary>
    public long AffinityEvicted => _affinity4.Evicted.Total + _affinity6.Evicted.Total;

    /// <summary>Those of them since the last call, for a worker's counters.</summary>
    public long TakeAffinityEvicted() => _affinity4.Evicted.Take() + _affinity6.Evicted.Take();

    /// <summary>Connections whose client could not be pinned at once, because other workers were busy with its part of the table.</summary>
    public long AffinityUnpinned => _affinity4.Unpinned.Total + _affinity6.Unpinned.Total;

    /// <summary>Those of them since the last call, for a worker's counters.</summary>
    public long TakeAffinityUnpinned() => _affinity4.Unpinned.Take() + _affinity6.Unpinned.Take();

    /// <summary>The backend that a client is pinned to at a service port; using it counts from now on (semantics R32). Takes no lock.</summary>
    /// <param name="servicePortId">All its frontends share the pin (R31).</param>
    /// <param name="client">The client's address.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="timeoutSeconds">As the service says now.</param>
    /// <param name="backendId">Whether it is still eligible the caller must see (R33).</param>
    public bool TryUseAffinity(uint servicePortId, IpAddr client, long nowMs, uint timeoutSeconds, out uint backendId) => client.IsIpv4
        ? _affinity4.TryUse(new AffinityKey4(servicePortId, client), nowMs, timeoutSeconds, out backendId)
        : _affinity6.TryUse(new AffinityKey6(servicePortId, client), nowMs, timeoutSeconds, out backendId);

    /// <summary>Pins a client to the backend that was chosen for it.</summary>
    /// <param name="servicePortId">The service port's id.</param>
    /// <param name="client">The client's address.</param>
    /// <param name="backendId">What was chosen.</param>
    /// <param name="insteadOf">What the client was pinned to and cannot have any more; 0 if it was not pinned.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="timeoutSeconds">Of the service.</param>
    /// <returns>What the client is pinned to: another backend if another worker was first.</returns>
    public uint PinAffinity(uint servicePortId, IpAddr client, uint backendId, uint insteadOf, long nowMs, uint timeoutSeconds) => client.IsIpv4
        ? _affinity4.Pin(new AffinityKey4(servicePortId, client), backendId, insteadOf, nowMs, timeoutSeconds)
        : _affinity6.Pin(new AffinityKey6(servicePortId, client), backendId, insteadOf, nowMs, timeoutSeconds);

    /// <summary>Puts a pin as it was read elsewhere. For explain and tests.</summary>
    public void RestoreAffinity(AffinitySnapshot pin) =>
        PinAffinity(pin.ServicePortId, pin.Client, pin.BackendId, 0, pin.LastUsedMs, pin.TimeoutSeconds);

    /// <summary>All pins of a state directory, with the dataplane alive or dead; not a snapshot of one moment.</summary>
    /// <param name="stateDirectory">The agent's.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds, for the time that remains.</param>
    /// <exception cref="MapFileException">A file is there but is no affinity table.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read the flow tables.</exception>
    public static IEnumerable<AffinitySnapshot> ReadAffinity(string stateDirectory, long nowMs)
    {
        string directory = FlowDirectory.PathIn(stateDirectory);
        return ReadAffinity<AffinityKey4>(Path.Combine(directory, Affinity4Name), AffinityTable<AffinityKey4>.SpecOf(Affinity4Name, 1), nowMs)
            .Concat(ReadAffinity<AffinityKey6>(Path.Combine(directory, Affinity6Name), AffinityTable<AffinityKey6>.SpecOf(Affinity6Name, 1), nowMs));
    }

    /// <summary>As the other one, with the machine's clock.</summary>
    public static IEnumerable<AffinitySnapshot> ReadAffinity(string stateDirectory) => ReadAffinity(stateDirectory, Environment.TickCount64);

    private static IEnumerable<AffinitySnapshot> ReadAffinity<TKey>(string path, MapFileSpec expected, long nowMs)
        where TKey : unmanaged, IAffinityKey<TKey>
    {
        using SafeFileHandle? handle = OpenIfThere(path);
        if (handle is null)
        {
            yield break;
        }

        MapFileSpec spec = MapFile.ReadSpec(handle, path, expected);
        var first = new byte[PlacesPerRead * TKey.PlaceSize];
        var second = new byte[PlacesPerRead * TKey.PlaceSize];
        for (long place = 0; place < spec.Places; place += PlacesPerRead)
        {
            int count = (int)Math.Min(PlacesPerRead, spec.Places - place);
            long offset = spec.PlacesOffset + (place * spec.PlaceSize);
            if (!TryReadFully(handle, first.AsSpan(0, count * TKey.PlaceSize), offset)
                || !TryReadFully(handle, second.AsSpan(0, count * TKey.PlaceSize), offset))
            {
                yield break; // truncated by somebody: what was read stands
            }

            for (int i = 0; i < count; i++)
            {
                var one = MemoryMarshal.Read<AffinityPlace<TKey>>(first.AsSpan(i * TKey.PlaceSize));
                var two = MemoryMarshal.Read<AffinityPlace<TKey>>(second.AsSpan(i * TKey.PlaceSize));

                // As for flows: the first copy saw nothing newer than its generation, the second nothing older.
                bool isWhole = two.Generation != 0 && (two.Generation & 1) == 0 && one.Generation == two.Generation
                    && one.Key.Matches(two.Key) && one.BackendId == two.BackendId;
                if (isWhole && two.Key.ServicePortId != 0)
                {
                    yield return AffinitySnapshot.Of(two, nowMs);
                }
            }
        }
    }

    private static MapFile OpenAffinity<TKey>(string directory, string name, int capacity, List<MapFileReport> reports)
        where TKey : unmanaged, IAffinityKey<TKey>
    {
        MapFileSpec spec = AffinityTable<TKey>.SpecOf(name, capacity);
        return Open(directory, spec, CopyPins, reports);

        bool CopyPins(MapFile old, MapFile fresh)
        {
            if (!old.Spec.HasLayoutOf(spec))
            {
                return false;
            }

            new AffinityTable<TKey>(old).CopyTo(new AffinityTable<TKey>(fresh));
            return true;
        }
    }
}
