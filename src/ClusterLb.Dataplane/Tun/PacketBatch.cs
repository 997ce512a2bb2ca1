using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Dataplane.Tun;

/// <summary>The packets that a worker handles between two looks at the clock: buffers allocated once, reused for ever.</summary>
/// <remarks>Belongs to one worker; not thread-safe.</remarks>
public sealed class PacketBatch
{
    /// <summary>Packets in a batch at most. Under load a batch fills; more only adds delay for its first packet.</summary>
    public const int Capacity = 64;

    /// <summary>The longest packet: a GSO packet is bounded by the 16-bit total length of IPv4 and IPv6.</summary>
    public const int MaxPacketLength = 65_535;

    // An answer to a short packet is longer than what it answers: ICMPv6 errors have up to 1280 bytes.
    private const int RoomForAnswers = 1_280;

    // The packet, not the header in front of it, begins at an even 16 bytes.
    private const int Padding = 16 - VnetHeader.Length;
    private const int Stride = (Padding + VnetHeader.Length + MaxPacketLength + RoomForAnswers + 63) & ~63;

    // Pinned: the buffers are handed to system calls, so the collector should never have to move or card-mark them.
    private readonly byte[] _memory = GC.AllocateUninitializedArray<byte>(Capacity * Stride, pinned: true);
    private readonly PacketMeta[] _metas = new PacketMeta[Capacity];
    private readonly Verdict[] _verdicts = new Verdict[Capacity];

    /// <summary>Packets in it now.</summary>
    public int Count { get; private set; }

    /// <summary>Packets that the device did not take in the last <see cref="ITunDevice.Send"/>.</summary>
    public int SendFailures { get; set; }

    /// <summary>Room for the next frame: vnet header and packet. <see cref="Add"/> makes it part of the batch.</summary>
    public Span<byte> NextFrame => _memory.AsSpan((Count * Stride) + Padding, VnetHeader.Length + MaxPacketLength);

    /// <summary>Vnet header and packet, <see cref="PacketMeta.Length"/> bytes of it.</summary>
    public Span<byte> Frame(int index) => _memory.AsSpan((index * Stride) + Padding, VnetHeader.Length + _metas[index].Length);

    /// <summary>The packet and the room behind it, in which an answer can be longer than what it answers.</summary>
    public Span<byte> Buffer(int index) =>
        _memory.AsSpan((index * Stride) + Padding + VnetHeader.Length, MaxPacketLength + RoomForAnswers);

    /// <summary>What goes with the packet through the pipeline.</summary>
    public ref PacketMeta Meta(int index) => ref _metas[index];

    /// <summary>What becomes of the packet.</summary>
    public ref Verdict Verdict(int index) => ref _verdicts[index];

    /// <summary>Empties the batch; the buffers stay.</summary>
    public void Clear() => Count = 0;

    /// <summary>Takes the frame in <see cref="NextFrame"/> into the batch. There must be room.</summary>
    /// <param name="frameLength">Vnet header and packet, in bytes.</param>
    /// <param name="queue">Where it was read.</param>
    public void Add(int frameLength, int queue)
    {
        bool partial = VnetHeader.HasPartialChecksum(NextFrame);
        ushort checksumStart = VnetHeader.ChecksumStart(NextFrame);
        ref PacketMeta meta = ref _metas[Count];
        meta = default;
        meta.Length = frameLength - VnetHeader.Length;
        meta.PartialChecksum = partial;
        meta.ChecksumStart = checksumStart;
        meta.Queue = (ushort)queue;
        _verdicts[Count] = Dataplane.Verdict.Drop;
        Count++;
    }

    /// <summary>Makes the frames ready to be written: what the pipeline built itself gets an empty vnet header.</summary>
    public void Seal(int index)
    {
        if (_verdicts[index] == Dataplane.Verdict.Reject)
        {
            VnetHeader.Clear(_memory.AsSpan((index * Stride) + Padding, VnetHeader.Length));
        }
    }
}
