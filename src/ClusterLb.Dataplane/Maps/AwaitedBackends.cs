using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Backends whose first new flow somebody wants to know of: a small table, written by the agent, read by the workers.</summary>
/// <remarks>
/// The file <c>maps/awaited</c>. The header's first word counts what is awaited: while it is 0 a new flow costs one load of a line
/// that nobody writes, a known flow nothing at all. A pair of service port and backend has one possible place; who comes later
/// takes it over, and the earlier one is awaited no more. So a lookup is one line, whatever is awaited.
/// One writer. Readers: any thread; a place that is being changed is taken for empty or for the old one.
/// </remarks>
public sealed class AwaitedBackends : IDisposable
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "awaited";

    /// <summary>Places: pairs that can be awaited at once.</summary>
    public const int Places = 1024;

    internal const int PlaceSize = 16;
    private const int SinceOffset = 8;
    private const int PlacesLog2 = 10;
    private const ulong Spread = 0x9E37_79B9_7F4A_7C15; // 2^64 / golden ratio: neighbouring ids lie far apart

    private readonly MapFile _file;

    internal AwaitedBackends(MapFile file) => _file = file;

    /// <summary>True if anything is awaited.</summary>
    public bool IsAny
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Volatile.Read(ref _file.Word(0)) != 0;
    }

    /// <summary>How many pairs are awaited.</summary>
    public int Count => (int)Volatile.Read(ref _file.Word(0));

    internal static MapFileSpec Spec => new()
    {
        Name = FileName,
        Capacity = Places,
        Places = Places,
        PlaceSize = PlaceSize,
        KeySize = 8,
        ValueSize = 8,
    };

    internal MapFile File => _file;

    /// <summary>A table in anonymous memory, for tests.</summary>
    public static AwaitedBackends CreateInMemory() => new(MapFile.CreateAnonymous(Spec));

    /// <summary>The only place where a pair can be.</summary>
    public static int PlaceOf(ServingKey pair) => (int)((Pack(pair) * Spread) >> (64 - PlacesLog2));

    /// <summary>Awaits a pair from now on, in place of whatever has its place. The writer's.</summary>
    /// <param name="pair">Service port and backend.</param>
    /// <param name="sinceNs">CLOCK_MONOTONIC: flows before it do not count. Never decreases from call to call.</param>
    public void Await(ServingKey pair, long sinceNs)
    {
        int place = PlaceOf(pair);
        Forget(place);
        Volatile.Write(ref Since(place), sinceNs);
        Volatile.Write(ref Key(place), Pack(pair)); // release: who sees the pair sees its time
        Volatile.Write(ref _file.Word(0), _file.Word(0) + 1);
    }

    /// <summary>Awaits what a place holds no more. The writer's.</summary>
    public void Forget(int place)
    {
        if (Key(place) != 0)
        {
            Volatile.Write(ref Key(place), 0);
            Volatile.Write(ref _file.Word(0), _file.Word(0) - 1);
        }
    }

    /// <summary>Forgets everything: what an agent before this one awaited. The writer's.</summary>
    public void Clear()
    {
        for (int place = 0; place < Places; place++)
        {
            Volatile.Write(ref Key(place), 0);
        }

        Volatile.Write(ref _file.Word(0), 0);
    }

    /// <summary>True if the pair is awaited, and since when.</summary>
    public bool IsAwaited(ServingKey pair, out int place, out long sinceNs)
    {
        place = PlaceOf(pair);
        bool isAwaited = Volatile.Read(ref Key(place)) == Pack(pair);
        sinceNs = Volatile.Read(ref Since(place));
        return isAwaited;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Never 0: ids begin at 1.</summary>
    internal static ulong Pack(ServingKey pair) => ((ulong)pair.ServicePortId << 32) | pair.BackendId;

    private ref ulong Key(int place) => ref Unsafe.As<byte, ulong>(ref _file.At(_file.Spec.PlacesOffset + ((long)place * PlaceSize)));

    private ref long Since(int place) =>
        ref Unsafe.As<byte, long>(ref _file.At(_file.Spec.PlacesOffset + ((long)place * PlaceSize) + SinceOffset));
}
