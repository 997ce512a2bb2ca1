namespace ClusterLb.Dataplane.Tun;

/// <summary>The head of a packet's place in a batch; the frame follows in the next cache line.</summary>
internal struct BatchSlot
{
    /// <summary>Bytes that it takes.</summary>
    public const int Size = 64;

    /// <summary>Written last: all other fields and the frame belong to it.</summary>
    public PacketStage Stage;

    /// <summary>Vnet header and packet, in bytes.</summary>
    public int FrameLength;

    /// <summary>Where it was read; once it is decided, where it is to be written.</summary>
    public ushort Queue;

    /// <summary>Once it is decided.</summary>
    public Verdict Verdict;
}
