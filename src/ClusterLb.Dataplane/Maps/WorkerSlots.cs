using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>One cache line per worker of the dataplane: which epoch it is in, and when it last lived. Written by the dataplane only.</summary>
/// <remarks>
/// Two dataplanes may live at once while one takes over from the other, so there are two banks of slots; an incarnation uses
/// bank (incarnation modulo 2). A dataplane that was killed leaves slots online for ever; the next one, which holds the lease and
/// therefore knows that no other lives, says from which incarnation on slots count (<see cref="TakeOver"/>).
/// A worker calls the instance methods from its own thread with its own number; no two threads share a number.
/// </remarks>
public sealed class WorkerSlots : IDisposable
{
    /// <summary>Name of the file in DIR/flows.</summary>
    public const string FileName = "workers";

    /// <summary>Workers of one dataplane.</summary>
    public const int MaxWorkers = 128;

    /// <summary>An idle worker beats about once a second: one that was silent for longer is not alive.</summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(3);

    private const int SlotSize = 64;
    private const int SlotCount = 2 * MaxWorkers;
    private const int AllSlotsSize = SlotCount * SlotSize;
    private const int EpochOffset = 0; // 0: offline
    private const int IncarnationOffset = 8;
    private const int HeartbeatOffset = 16;

    private readonly MapFile _file;
    private readonly MapFile _epoch;
    private readonly long _bankOffset;

    /// <summary>Begins a new incarnation with all its workers offline.</summary>
    /// <param name="workers">The file, writable; owned from now on.</param>
    /// <param name="maps">Whose epoch the workers follow; must live longer.</param>
    /// <exception cref="MapFileException">The descriptor is not of a workers file.</exception>
    public WorkerSlots(SafeFileHandle workers, SharedLbMaps maps)
        : this(workers, maps.EpochFile)
    {
    }

    internal WorkerSlots(SafeFileHandle workers, MapFile epoch)
    {
        _file = MapFile.FromDescriptor(workers, Spec, writable: true);
        _epoch = epoch;
        Incarnation = _file.TakeNumber();
        _bankOffset = Spec.PlacesOffset + ((long)(Incarnation & 1) * MaxWorkers * SlotSize);
        for (int worker = 0; worker < MaxWorkers; worker++)
        {
            Volatile.Write(ref Field(worker, EpochOffset), 0);
            Volatile.Write(ref Field(worker, HeartbeatOffset), 0);
            Volatile.Write(ref Field(worker, IncarnationOffset), Incarnation);
        }
    }

    /// <summary>The file: an array of slots, no index.</summary>
    internal static MapFileSpec Spec => new()
    {
        Name = FileName,
        Capacity = SlotCount,
        Places = SlotCount,
        PlaceSize = SlotSize,
        ValueSize = 24,
        Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    /// <summary>The number of this dataplane process, never repeated.</summary>
    public ulong Incarnation { get; }

    /// <summary>Says that no earlier dataplane lives: their slots count no more. Only the holder of the lease may call it.</summary>
    public void TakeOver() => Volatile.Write(ref _file.Word(0), Incarnation);

    /// <summary>Before a batch: from here on the worker may look into the maps. Also ends what it held from the batch before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void GoOnline(int worker)
    {
        // Exchange is a full barrier: the epoch is published before the first read of a map. Without it the writer could still see
        // this worker offline, reuse a place, and the worker already be reading it.
        Interlocked.Exchange(ref Field(worker, EpochOffset), Volatile.Read(ref _epoch.Word(0)));
    }

    /// <summary>Before blocking: the worker holds nothing of the maps, and the writer need not wait for it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void GoOffline(int worker) => Volatile.Write(ref Field(worker, EpochOffset), 0); // release: after the last read

    /// <summary>The worker lives.</summary>
    /// <param name="worker">From 0.</param>
    /// <param name="nowNs">CLOCK_MONOTONIC.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Beat(int worker, long nowNs) => Volatile.Write(ref Field(worker, HeartbeatOffset), (ulong)nowNs);

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int worker = 0; worker < MaxWorkers; worker++)
        {
            GoOffline(worker);
        }

        _file.Dispose();
    }

    /// <summary>The oldest epoch that a living worker is in; <see cref="ulong.MaxValue"/> if all are offline.</summary>
    /// <remarks>0, so that nothing is reused, if the file cannot be read whole: its owner may have truncated it.</remarks>
    /// <param name="workers">The file.</param>
    /// <param name="dead">Incarnations up to this one are known to be dead.</param>
    internal static ulong OldestEpoch(SafeFileHandle workers, ulong dead = 0)
    {
        ulong oldest = ulong.MaxValue;
        return ReadSlots(workers, See) ? oldest : 0;

        void See(Slot slot)
        {
            if (slot.Epoch != 0 && slot.Incarnation > dead)
            {
                oldest = Math.Min(oldest, slot.Epoch);
            }
        }
    }

    /// <summary>The newest incarnation that ever began; 0 if the file cannot be read.</summary>
    internal static ulong NewestIncarnation(SafeFileHandle workers)
    {
        var header = default(MapHeader);
        int length = RandomAccess.Read(workers, MemoryMarshal.AsBytes(new Span<MapHeader>(ref header)), 0);
        return length == MapHeader.Size ? header.LastNumber : 0;
    }

    /// <summary>The last signs of life of a state directory's dataplane, for readers outside; empty if none ever ran there.</summary>
    /// <exception cref="UnauthorizedAccessException">Not for this user.</exception>
    public static IReadOnlyList<WorkerHeartbeat> Read(string stateDirectory)
    {
        string path = Path.Combine(FlowDirectory.PathIn(stateDirectory), FileName);
        if (!File.Exists(path))
        {
            return [];
        }

        using SafeFileHandle workers = File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete);
        return Heartbeats(workers);
    }

    internal static List<WorkerHeartbeat> Heartbeats(SafeFileHandle workers)
    {
        var beats = new List<WorkerHeartbeat>();
        ReadSlots(workers, slot =>
        {
            if (slot.HeartbeatNs != 0)
            {
                beats.Add(new WorkerHeartbeat(slot.Incarnation, slot.Worker, (long)slot.HeartbeatNs, slot.Epoch != 0));
            }
        });
        return beats;
    }

    private static bool ReadSlots(SafeFileHandle workers, Action<Slot> see)
    {
        var header = default(MapHeader);
        Span<byte> slots = stackalloc byte[AllSlotsSize];
        if (RandomAccess.Read(workers, MemoryMarshal.AsBytes(new Span<MapHeader>(ref header)), 0) != MapHeader.Size
            || RandomAccess.Read(workers, slots, Spec.PlacesOffset) != slots.Length)
        {
            return false;
        }

        for (int i = 0; i < SlotCount; i++)
        {
            ReadOnlySpan<byte> bytes = slots.Slice(i * SlotSize, SlotSize);
            var slot = new Slot(
                i % MaxWorkers,
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[EpochOffset..]),
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[IncarnationOffset..]),
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[HeartbeatOffset..]));
            if (slot.Incarnation != 0 && slot.Incarnation >= header.Words[0])
            {
                see(slot);
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref ulong Field(int worker, int offset)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)worker, (uint)MaxWorkers, nameof(worker));
        return ref Unsafe.As<byte, ulong>(ref MapFileInterop.Reference(
            _file.AddressOf(_bankOffset + ((long)worker * SlotSize) + offset)));
    }

    private readonly record struct Slot(int Worker, ulong Epoch, ulong Incarnation, ulong HeartbeatNs);
}
