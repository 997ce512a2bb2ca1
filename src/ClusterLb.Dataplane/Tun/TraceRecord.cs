using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Dataplane.Tun;

/// <summary>What happened to one packet, as it lies in a <see cref="TraceRing"/>: 128 bytes, host order.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal struct TraceRecord
{
    public const int Size = 128;

    /// <summary>2 n + 1 while record n is written, 2 n + 2 when it is complete.</summary>
    [FieldOffset(0)]
    public ulong Sequence;

    [FieldOffset(8)]
    public long TimeNs;

    [FieldOffset(16)]
    public IpAddr Source;

    [FieldOffset(32)]
    public IpAddr Destination;

    [FieldOffset(48)]
    public IpAddr TranslatedSource;

    [FieldOffset(64)]
    public IpAddr TranslatedDestination;

    [FieldOffset(80)]
    public ushort SourcePort;

    [FieldOffset(82)]
    public ushort DestinationPort;

    [FieldOffset(84)]
    public ushort TranslatedSourcePort;

    [FieldOffset(86)]
    public ushort TranslatedDestinationPort;

    [FieldOffset(88)]
    public uint RevNatId;

    [FieldOffset(92)]
    public uint ServicePortId;

    [FieldOffset(96)]
    public uint BackendId;

    [FieldOffset(100)]
    public int Length;

    [FieldOffset(104)]
    public ushort Queue;

    [FieldOffset(106)]
    public IpProtocol Protocol;

    [FieldOffset(107)]
    public Verdict Verdict;

    [FieldOffset(108)]
    public DropReason DropReason;

    [FieldOffset(109)]
    public TraceFlags Flags;

    public void Set(long nowNs, Verdict verdict, in PacketMeta meta)
    {
        TimeNs = nowNs;
        Source = meta.Tuple.Source;
        Destination = meta.Tuple.Destination;
        SourcePort = meta.Tuple.SourcePort;
        DestinationPort = meta.Tuple.DestinationPort;
        TranslatedSource = meta.Translated.Source;
        TranslatedDestination = meta.Translated.Destination;
        TranslatedSourcePort = meta.Translated.SourcePort;
        TranslatedDestinationPort = meta.Translated.DestinationPort;
        RevNatId = meta.RevNatId;
        ServicePortId = meta.ServicePortId;
        BackendId = meta.BackendId;
        Length = meta.Length;
        Queue = meta.Queue;
        Protocol = meta.Tuple.Protocol;
        Verdict = verdict;
        DropReason = meta.DropReason;
        Flags = (meta.NewFlow ? TraceFlags.NewFlow : TraceFlags.None)
            | (meta.IsReply ? TraceFlags.Reply : TraceFlags.None)
            | (meta.Masqueraded ? TraceFlags.Masqueraded : TraceFlags.None);
    }

    public readonly TraceEvent ToEvent(int worker) => new()
    {
        Worker = worker,
        TimeNs = TimeNs,
        Verdict = Verdict,
        DropReason = DropReason,
        Tuple = new FlowTuple(Source, Destination, SourcePort, DestinationPort, Protocol),
        Translated = new FlowTuple(
            TranslatedSource, TranslatedDestination, TranslatedSourcePort, TranslatedDestinationPort, Protocol),
        RevNatId = RevNatId,
        ServicePortId = ServicePortId,
        BackendId = BackendId,
        LengthBytes = Length,
        Queue = Queue,
        Flags = Flags,
    };
}
