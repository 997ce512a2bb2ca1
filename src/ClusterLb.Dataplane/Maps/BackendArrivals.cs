using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>When the first new flow reached each backend of <see cref="AwaitedBackends"/>: written by the workers, read by the agent.</summary>
/// <remarks>
/// The file <c>flows/arrivals</c>: a place for every place of the awaited table, with the pair and the time of its first flow.
/// Two workers may be first at once: then either time stands, they differ by less than a packet takes. A reader accepts a time only
/// with the pair that it awaits and not before it began to: so a half-written place is no arrival yet.
/// </remarks>
public sealed class BackendArrivals : IDisposable
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "arrivals";

    private readonly MapFile _file;
    private readonly AwaitedBackends _awaited;
    private readonly TimeProvider _time;

    private BackendArrivals(MapFile file, AwaitedBackends awaited, TimeProvider time)
    {
        _file = file;
        _awaited = awaited;
        _time = time;
    }

    internal static MapFileSpec Spec => new()
    {
        Name = FileName,
        Capacity = AwaitedBackends.Places,
        Places = AwaitedBackends.Places,
        PlaceSize = (uint)Unsafe.SizeOf<BackendArrival>(),
        KeySize = 8,
        ValueSize = 8,
        Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    /// <summary>The dataplane's side.</summary>
    /// <param name="handle">Owned from now on.</param>
    /// <param name="awaited">What to look for; must live longer.</param>
    /// <param name="time">CLOCK_MONOTONIC in nanoseconds; asked only for a flow that is awaited.</param>
    /// <exception cref="MapFileException">The descriptor is not of such a file.</exception>
    public static BackendArrivals FromDescriptor(SafeFileHandle handle, AwaitedBackends awaited, TimeProvider time) =>
        new(MapFile.FromDescriptor(handle, Spec, writable: true), awaited, time);

    /// <summary>In anonymous memory, for tests.</summary>
    public static BackendArrivals CreateInMemory(AwaitedBackends awaited, TimeProvider time) =>
        new(MapFile.CreateAnonymous(Spec), awaited, time);

    /// <summary>Another descriptor of the file, for <see cref="TryRead"/>.</summary>
    public SafeFileHandle OpenDescriptor() => _file.OpenDescriptor(readOnly: true);

    /// <summary>A new flow of this service port goes to this backend. Any worker; allocates nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Note(uint servicePortId, uint backendId)
    {
        if (_awaited.IsAny)
        {
            NoteAwaited(new ServingKey(servicePortId, backendId));
        }
    }

    /// <summary>Reads all arrivals, by pread: the file belongs to a process that is not trusted with a mapping of ours.</summary>
    /// <param name="handle">Of the file.</param>
    /// <param name="arrivals">As many as <see cref="AwaitedBackends.Places"/>.</param>
    /// <returns>False if the file is shorter than it should be.</returns>
    public static bool TryRead(SafeFileHandle handle, Span<BackendArrival> arrivals)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(arrivals[..AwaitedBackends.Places]);
        return RandomAccess.Read(handle, bytes, Spec.PlacesOffset) == bytes.Length;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void NoteAwaited(ServingKey pair)
    {
        if (!_awaited.IsAwaited(pair, out int place, out long sinceNs))
        {
            return;
        }

        ref BackendArrival arrival = ref Unsafe.As<byte, BackendArrival>(
            ref _file.At(_file.Spec.PlacesOffset + ((long)place * Unsafe.SizeOf<BackendArrival>())));
        ulong key = AwaitedBackends.Pack(pair);
        if (Volatile.Read(ref arrival.Pair) == key && Volatile.Read(ref arrival.TimeNs) >= sinceNs)
        {
            return; // not the first
        }

        Volatile.Write(ref arrival.Pair, key);
        Volatile.Write(ref arrival.TimeNs, _time.GetTimestamp()); // release: who sees the time sees the pair
    }
}

/// <summary>A place of the arrivals' file.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct BackendArrival
{
    internal ulong Pair;
    internal long TimeNs;

    /// <summary>CLOCK_MONOTONIC, nanoseconds, of the first flow of this pair since then; null if there was none.</summary>
    public readonly long? Since(ServingKey pair, long sinceNs) =>
        Pair == AwaitedBackends.Pack(pair) && TimeNs >= sinceNs ? TimeNs : null;
}
