using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Conntrack;

/// <content>Reading from another process, with the dataplane alive or dead. By pread, never mapped: a dataplane that was
/// taken over could truncate its file, and a mapping would then be SIGBUS (design section 6).</content>
public sealed partial class FlowTables
{
    private const int PlacesPerRead = 512;

    /// <summary>All flows of a state directory, each of them whole; not a snapshot of one moment.</summary>
    /// <param name="stateDirectory">The agent's.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds, for the time that remains.</param>
    /// <exception cref="MapFileException">A file is there but is not a flow table.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read the flow tables.</exception>
    public static IEnumerable<FlowSnapshot> Read(string stateDirectory, long nowMs)
    {
        string directory = FlowDirectory.PathIn(stateDirectory);
        return ReadFile<FlowKey4>(Path.Combine(directory, Ipv4Name), ConntrackTable<FlowKey4>.SpecOf(Ipv4Name, 1), nowMs)
            .Concat(ReadFile<FlowKey6>(Path.Combine(directory, Ipv6Name), ConntrackTable<FlowKey6>.SpecOf(Ipv6Name, 1), nowMs));
    }

    /// <summary>As the other one, with the machine's clock.</summary>
    public static IEnumerable<FlowSnapshot> Read(string stateDirectory) => Read(stateDirectory, Environment.TickCount64);

    /// <summary>How full the tables of a state directory are, each family by itself; without those that are not there.</summary>
    /// <param name="stateDirectory">The agent's.</param>
    /// <exception cref="MapFileException">A file is there but is no such table.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read the flow tables.</exception>
    public static IReadOnlyList<MapFill> ReadFill(string stateDirectory)
    {
        string directory = FlowDirectory.PathIn(stateDirectory);
        var fill = new List<MapFill>();
        foreach (MapFileSpec spec in SpecsOf(new FlowCapacities()))
        {
            string path = Path.Combine(directory, spec.Name);
            using SafeFileHandle? handle = OpenIfThere(path);
            if (handle is not null)
            {
                fill.Add(MapFile.ReadFill(handle, path, spec));
            }
        }

        return fill;
    }

    /// <summary>Which table of a state directory has other sizes than these, and so would have to be made anew; null if none has.</summary>
    /// <param name="stateDirectory">The agent's.</param>
    /// <param name="capacities">Those wanted.</param>
    /// <returns>For people. A file that is missing or damaged is none of another size: who writes it goes on with its memory.</returns>
    public static string? FindOtherSize(string stateDirectory, FlowCapacities capacities)
    {
        string directory = FlowDirectory.PathIn(stateDirectory);
        foreach (MapFileSpec wanted in SpecsOf(capacities))
        {
            string path = Path.Combine(directory, wanted.Name);
            try
            {
                using SafeFileHandle? handle = OpenIfThere(path);
                if (handle is not null && MapFile.ReadSpec(handle, path, wanted) is var found && !found.HasShapeOf(wanted))
                {
                    return $"its table '{wanted.Name}' has room for {found.Capacity} entries, and {wanted.Capacity} are configured";
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Damaged, or none of ours.
            }
        }

        return null;
    }

    /// <summary>The rows of counters of a state directory, <see cref="CounterRow.Words"/> numbers each; empty if there is no file.</summary>
    public static IReadOnlyList<ulong[]> ReadCounters(string stateDirectory)
    {
        string path = Path.Combine(FlowDirectory.PathIn(stateDirectory), CountersName);
        var rows = new List<ulong[]>();
        using SafeFileHandle? handle = OpenIfThere(path);
        if (handle is not null)
        {
            MapFileSpec spec = MapFile.ReadSpec(handle, path, CountersSpec(1));
            for (int worker = 0; worker < spec.Places; worker++)
            {
                var row = new ulong[CounterRow.Words];
                if (!TryReadFully(handle, MemoryMarshal.AsBytes(row.AsSpan()), spec.PlacesOffset + ((long)worker * spec.PlaceSize)))
                {
                    break;
                }

                rows.Add(row);
            }
        }

        return rows;
    }

    private static MapFileSpec[] SpecsOf(FlowCapacities capacities) =>
    [
        ConntrackTable<FlowKey4>.SpecOf(Ipv4Name, capacities.Ipv4), ConntrackTable<FlowKey6>.SpecOf(Ipv6Name, capacities.Ipv6),
        AffinityTable<AffinityKey4>.SpecOf(Affinity4Name, capacities.Affinity), AffinityTable<AffinityKey6>.SpecOf(Affinity6Name, capacities.Affinity),
        FragmentTable.SpecOf(FragmentsName, capacities.Fragments),
    ];

    private static IEnumerable<FlowSnapshot> ReadFile<TKey>(string path, MapFileSpec expected, long nowMs)
        where TKey : unmanaged, IFlowKey<TKey>
    {
        using SafeFileHandle? handle = OpenIfThere(path);
        if (handle is null)
        {
            yield break;
        }

        MapFileSpec spec = MapFile.ReadSpec(handle, path, expected);
        var first = new FlowPlace<TKey>[PlacesPerRead];
        var second = new FlowPlace<TKey>[PlacesPerRead];
        for (long place = 1; place < spec.Places; place += PlacesPerRead)
        {
            int count = (int)Math.Min(PlacesPerRead, spec.Places - place);
            long offset = spec.PlacesOffset + (place * spec.PlaceSize);
            if (!TryReadFully(handle, MemoryMarshal.AsBytes(first.AsSpan(0, count)), offset)
                || !TryReadFully(handle, MemoryMarshal.AsBytes(second.AsSpan(0, count)), offset))
            {
                yield break; // truncated by somebody: what was read stands
            }

            for (int i = 0; i < count; i++)
            {
                if (IsWhole(first[i], second[i]))
                {
                    yield return FlowSnapshot.Of(second[i], nowMs);
                }
            }
        }
    }

    /// <summary>Null if there is no such file. Not by File.Exists: it also says no to who may not look, and no flows would be a lie.</summary>
    private static SafeFileHandle? OpenIfThere(string path)
    {
        try
        {
            return File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>The place held one flow through two copies, so each field of either copy is that flow's: the first copy saw
    /// nothing newer than its generation, the second nothing older.</summary>
    private static bool IsWhole<TKey>(in FlowPlace<TKey> first, in FlowPlace<TKey> second)
        where TKey : unmanaged, IFlowKey<TKey>
    {
        uint generation = (uint)(second.Life >> 32);
        return generation != 0 && (generation & 1) == 0 && (uint)(first.Life >> 32) == generation
            && first.Protocol == second.Protocol
            && first.Original.Matches(second.Original) && first.Reply.Matches(second.Reply)
            && first.BackendId == second.BackendId && first.RevNatId == second.RevNatId
            && first.ServicePortId == second.ServicePortId
            && first.Queue == second.Queue && first.Flags == second.Flags;
    }

    private static bool TryReadFully(SafeFileHandle handle, Span<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            int read = RandomAccess.Read(handle, bytes, offset);
            if (read == 0)
            {
                return false;
            }

            bytes = bytes[read..];
            offset += read;
        }

        return true;
    }
}
