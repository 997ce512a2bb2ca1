using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>The batches of all workers in shared memory: the packets that a dataplane had in hand outlive it (docs/reliability.md).</summary>
/// <remarks>The file <c>flows/batches</c>: <see cref="PacketBatch.Capacity"/> places for each worker, no index. Written by one dataplane.</remarks>
public sealed class PacketBatches : IDisposable
{
    /// <summary>Name of the file in DIR/flows.</summary>
    public const string FileName = "batches";

    private readonly MapFile _file;

    private PacketBatches(MapFile file) => _file = file;

    /// <summary>Workers that have a batch.</summary>
    public int Workers => (int)_file.Spec.Places / PacketBatch.Capacity;

    /// <summary>In anonymous memory, for tests.</summary>
    public static PacketBatches CreateInMemory(int workers) => new(MapFile.CreateAnonymous(SpecOf(workers)));

    /// <summary>Makes or validates the file, in the agent, to hand it to a dataplane; for another number of workers packets in hand are copied.</summary>
    /// <remarks>While no dataplane runs on it: a running one keeps its own.</remarks>
    /// <exception cref="MapFileException">No space, no right.</exception>
    public static PacketBatches OpenForWriting(string stateDirectory, int workers) =>
        new(MapFile.OpenForWriting(FlowDirectory.Make(stateDirectory), SpecOf(workers), Copy, out _));

    /// <summary>The dataplane's side.</summary>
    /// <param name="handle">Owned from now on.</param>
    /// <exception cref="MapFileException">It is not such a file.</exception>
    public static PacketBatches FromDescriptor(SafeFileHandle handle) => new(MapFile.FromDescriptor(handle, SpecOf(1), writable: true));

    /// <summary>A new descriptor of the file, for another process.</summary>
    public SafeFileHandle OpenDescriptor() => _file.OpenDescriptor(readOnly: false);

    /// <summary>The batch of one worker, which must not outlive this object.</summary>
    public PacketBatch Of(int worker)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(worker);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(worker, Workers);
        return new PacketBatch(_file.AddressOf(_file.Spec.PlacesOffset + ((long)worker * PacketBatch.Capacity * PacketBatch.PlaceSize)));
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static bool Copy(MapFile old, MapFile fresh)
    {
        if (!old.Spec.HasLayoutOf(fresh.Spec))
        {
            return false;
        }

        int length = checked((int)(Math.Min(old.Spec.Places, fresh.Spec.Places) * PacketBatch.PlaceSize));
        MemoryMarshal.CreateReadOnlySpan(ref old.At(old.Spec.PlacesOffset), length)
            .CopyTo(MemoryMarshal.CreateSpan(ref fresh.At(fresh.Spec.PlacesOffset), length));
        return true;
    }

    private static MapFileSpec SpecOf(int workers) => new()
    {
        Name = FileName,
        Capacity = (uint)(workers * PacketBatch.Capacity),
        Places = (uint)(workers * PacketBatch.Capacity),
        PlaceSize = PacketBatch.PlaceSize,
        Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };
}
