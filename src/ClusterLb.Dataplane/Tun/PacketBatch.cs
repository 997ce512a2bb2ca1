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
    private const int FrameOffset = BatchSlot.Size + Padding;

    /// <summary>Bytes of a packet's place: slot, frame, room for an answer.</summary>
    internal const int PlaceSize = (FrameOffset + VnetHeader.Length + MaxPacketLength + RoomForAnswers + 63) & ~63;

    private readonly nint _places;
    private readonly byte[]? _memory; // keeps the places alive, where they are not in shared memory
    private readonly PacketMeta[] _metas = new PacketMeta[Capacity];
    private readonly Verdict[] _verdicts = new Verdict[Capacity];

    /// <summary>A batch in this process's own memory.</summary>
    public PacketBatch()
    {
        _memory = GC.AllocateArray<byte>(Capacity * PlaceSize, pinned: true);
        _places = PacketBatchInterop.AddressOf(_memory);
    }

    /// <summary>A batch in shared memory, which lives longer, with what another process may have left in it (<see cref="Recover"/>).</summary>
    internal PacketBatch(nint places) => _places = places;

    /// <summary>Packets in it now.</summary>
    public int Count { get; private set; }

    /// <summary>Packets that the device did not take in the last <see cref="ITunDevice.Send"/>.</summary>
    public int SendFailures { get; set; }

    /// <summary>Room for the next frame: vnet header and packet. <see cref="Add"/> makes it part of the batch.</summary>
    public Span<byte> NextFrame => PacketBatchInterop.Bytes(FrameAt(Count), VnetHeader.Length + MaxPacketLength);

    /// <summary>Vnet header and packet, <see cref="PacketMeta.Length"/> bytes of it.</summary>
    public Span<byte> Frame(int index) => PacketBatchInterop.Bytes(FrameAt(index), VnetHeader.Length + _metas[index].Length);

    /// <summary>The packet, <see cref="PacketMeta.Length"/> bytes.</summary>
    public ReadOnlySpan<byte> Packet(int index) => PacketBatchInterop.Bytes(FrameAt(index) + VnetHeader.Length, _metas[index].Length);

    /// <summary>The packet and the room behind it, in which an answer can be longer than what it answers.</summary>
    public Span<byte> Buffer(int index) =>
        PacketBatchInterop.Bytes(FrameAt(index) + VnetHeader.Length, MaxPacketLength + RoomForAnswers);

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
        ref BatchSlot slot = ref SlotAt(Count);
        slot.FrameLength = frameLength;
        slot.Queue = (ushort)queue;
        SetStage(ref slot, PacketStage.Read);
        Describe(frameLength, queue);
        Count++;
    }

    /// <summary>Before the pipeline: from here on the frame may be rewritten by half.</summary>
    public void BeginWork(int index) => SetStage(ref SlotAt(index), PacketStage.InWork);

    /// <summary>After the pipeline, with its verdict in <see cref="Verdict"/>.</summary>
    public void Decide(int index)
    {
        ref BatchSlot slot = ref SlotAt(index);
        Verdict verdict = _verdicts[index];
        if (verdict == Dataplane.Verdict.Drop)
        {
            SetStage(ref slot, PacketStage.Done);
            return;
        }

        slot.FrameLength = VnetHeader.Length + _metas[index].Length;
        slot.Queue = _metas[index].Queue;
        slot.Verdict = verdict;
        SetStage(ref slot, PacketStage.Decided);
    }

    /// <summary>The device has it, or refused it.</summary>
    public void Sent(int index) => SetStage(ref SlotAt(index), PacketStage.Done);

    /// <summary>True for a packet that the pipeline has not seen.</summary>
    internal bool IsRead(int index) => SlotAt(index).Stage == PacketStage.Read;

    /// <summary>Packets that whoever used this memory before had in hand and that can be carried on with.</summary>
    internal int CountLeft()
    {
        int left = 0;
        for (int i = 0; i < Capacity; i++)
        {
            left += IsLeft(SlotAt(i)) ? 1 : 0;
        }

        return left;
    }

    /// <summary>Makes what was left by a killed process the batch's content; what it had in work is dropped.</summary>
    internal void Recover()
    {
        for (Count = 0; Count < Capacity; Count++)
        {
            ref BatchSlot slot = ref SlotAt(Count);
            if (!IsLeft(slot))
            {
                SetStage(ref slot, PacketStage.Done);
                _verdicts[Count] = Dataplane.Verdict.Drop;
                continue;
            }

            Describe(slot.FrameLength, slot.Queue);
            if (slot.Stage == PacketStage.Decided)
            {
                _verdicts[Count] = slot.Verdict;
            }
        }
    }

    // What another process left is looked at before it is used, like everything in shared memory.
    private static bool IsLeft(in BatchSlot slot) => slot.FrameLength is > VnetHeader.Length and <= VnetHeader.Length + MaxPacketLength
        && (slot.Stage == PacketStage.Read
            || (slot.Stage == PacketStage.Decided && slot.Verdict is > Dataplane.Verdict.Drop and <= Dataplane.Verdict.Reject));

    private void Describe(int frameLength, int queue)
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
    }

    /// <summary>Makes the frames ready to be written: what the pipeline built itself gets an empty vnet header.</summary>
    public void Seal(int index)
    {
        if (_verdicts[index] == Dataplane.Verdict.Reject)
        {
            VnetHeader.Clear(PacketBatchInterop.Bytes(FrameAt(index), VnetHeader.Length));
        }
    }

    // Release: whoever sees the stage sees the frame and the fields that belong to it.
    private static void SetStage(ref BatchSlot slot, PacketStage stage) => Volatile.Write(ref PacketBatchInterop.Stage(ref slot), (uint)stage);

    private nint FrameAt(int index) => PlaceAt(index) + FrameOffset;

    internal ref BatchSlot SlotAt(int index) => ref PacketBatchInterop.Slot(PlaceAt(index));

    private nint PlaceAt(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Capacity, nameof(index));
        return _places + (index * PlaceSize);
    }
}
