using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>The last packets of each worker and what became of them, in shared memory; written only while somebody listens.</summary>
/// <remarks>
/// The file <c>flows/trace</c>: the header's first word is the lease of the listeners, a time (CLOCK_MONOTONIC, nanoseconds)
/// until which somebody wants records. Then per worker one place for its position and <see cref="RecordsPerWorker"/> records.
/// A worker overwrites its oldest record and never looks at readers; a reader that is too slow finds that out by the record's
/// sequence and counts what it has missed (<see cref="TraceReader"/>).
/// Writing: a worker touches its own records only. The file is of the dataplane's user and of root.
/// </remarks>
public sealed class TraceRing : IDisposable
{
    /// <summary>Name of the file in the state directory's <c>flows</c>.</summary>
    public const string FileName = "trace";

    /// <summary>Records of a worker before it overwrites: at a million packets a second, 4 ms.</summary>
    public const int RecordsPerWorker = 4_096;

    internal const int LeaseWord = 0;
    private const int PlacesPerWorker = RecordsPerWorker + 1;

    private readonly MapFile _file;

    private TraceRing(MapFile file) => _file = file;

    /// <summary>Workers that have a ring.</summary>
    public int Workers => (int)_file.Spec.Capacity / RecordsPerWorker;

    /// <summary>Rings in anonymous memory, for tests.</summary>
    public static TraceRing CreateInMemory(int workers) => new(MapFile.CreateAnonymous(SpecOf(workers)));

    /// <summary>Makes or validates the file, in the agent, to hand it to a dataplane that is about to start, while none runs on it.</summary>
    /// <exception cref="MapFileException">No space, no right.</exception>
    public static TraceRing OpenForWriting(string stateDirectory, int workers)
    {
        string directory = FlowDirectory.Make(stateDirectory);
        return new(MapFile.OpenForWriting(directory, SpecOf(workers), upgrade: (_, _) => true, out _)); // old records are worth nothing
    }

    /// <summary>Takes over a descriptor that came from the agent, or that a reader opened.</summary>
    /// <exception cref="MapFileException">It is not such a file.</exception>
    public static TraceRing FromDescriptor(SafeFileHandle handle) =>
        new(MapFile.FromDescriptor(handle, SpecOf(1), writable: true));

    /// <summary>A new descriptor of the file, for another process.</summary>
    public SafeFileHandle OpenDescriptor() => _file.OpenDescriptor(readOnly: false);

    /// <summary>True if somebody listens now. A worker asks once per batch: one load.</summary>
    public bool HasListener(long nowNs) => (long)Volatile.Read(ref _file.Word(LeaseWord)) > nowNs;

    /// <summary>Asks the workers for records until then. Listeners do not disturb each other: the latest time counts.</summary>
    public void ListenUntil(long timeNs)
    {
        ref ulong lease = ref _file.Word(LeaseWord);
        ulong seen = Volatile.Read(ref lease);
        while ((long)seen < timeNs)
        {
            ulong found = Interlocked.CompareExchange(ref lease, (ulong)timeNs, seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }

    /// <summary>Adds a record to the worker's ring, from the worker's own thread. Never waits, allocates nothing.</summary>
    public void Write(int worker, long nowNs, Verdict verdict, in PacketMeta meta)
    {
        ref ulong position = ref Position(worker);
        ulong number = position;
        ref TraceRecord record = ref Record(worker, number);

        // A reader that copies meanwhile sees the odd sequence, or another one than before its copy.
        Volatile.Write(ref record.Sequence, (2 * number) + 1);
        Interlocked.MemoryBarrier(); // the odd sequence is visible before the first byte of the record changes
        record.Set(nowNs, verdict, meta);
        Volatile.Write(ref record.Sequence, (2 * number) + 2); // release: the record is complete before its sequence says so
        Volatile.Write(ref position, number + 1);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>The number of the record that the worker writes next, from 0.</summary>
    internal ref ulong Position(int worker) => ref TraceRingInterop.Word(_file, OffsetOf(worker));

    internal ref TraceRecord Record(int worker, ulong number) => ref TraceRingInterop.Record(
        _file, OffsetOf(worker) + ((1 + (long)(number % RecordsPerWorker)) * TraceRecord.Size));

    private static MapFileSpec SpecOf(int workers) => new()
    {
        Name = FileName,
        Capacity = (uint)(workers * RecordsPerWorker),
        Places = (uint)(workers * PlacesPerWorker),
        PlaceSize = TraceRecord.Size,
        ValueSize = TraceRecord.Size,
        Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    private long OffsetOf(int worker) => _file.Spec.PlacesOffset + ((long)worker * PlacesPerWorker * TraceRecord.Size);
}
