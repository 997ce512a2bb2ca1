using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>What goes with a packet through the pipeline, in and out. One per buffer, reused.</summary>
public struct PacketMeta
{
    /// <summary>In: bytes of the packet. Out: bytes to write (an answer is shorter or longer than what it answers).</summary>
    public int Length;

    /// <summary>In: virtio_net_hdr says NEEDS_CSUM, so the checksum field of the header at <see cref="ChecksumStart"/> holds the
    /// pseudo-header sum only. Out: false if that is not the packet's own transport header but a tunnelled one, and for an
    /// answer that we crafted, whose header must be zeroed.</summary>
    public bool PartialChecksum;

    /// <summary>In: where, in the packet, the header begins that <see cref="PartialChecksum"/> is about.</summary>
    public ushort ChecksumStart;

    /// <summary>In: the queue it was read from. Out: the queue of its flow, of a fragment that of
    /// its addresses (<see cref="FlowTables.QueueOfFragments"/>), which it must be written to.</summary>
    public ushort Queue;

    /// <summary>Out.</summary>
    public DropReason DropReason;

    /// <summary>Out: the tuple as it was read, of a later fragment with the ports of its first one if that is remembered; meaningful if
    /// the packet could be parsed.</summary>
    public FlowTuple Tuple;

    /// <summary>Out: the tuple as it will be written, for <see cref="Verdict.Forward"/>.</summary>
    public FlowTuple Translated;

    /// <summary>Out: id of the frontend involved, or 0.</summary>
    public uint RevNatId;

    /// <summary>Out: id of the service port involved, or 0.</summary>
    public uint ServicePortId;

    /// <summary>Out: id of the backend involved, or 0.</summary>
    public uint BackendId;

    /// <summary>Out: this packet created its flow.</summary>
    public bool NewFlow;

    /// <summary>Out: how the backend was chosen. Meaningful with <see cref="NewFlow"/>.</summary>
    public Selection Selection;

    /// <summary>Out: this packet goes from the backend to the client.</summary>
    public bool IsReply;

    /// <summary>Out: the flow's source address is translated too (masquerade or hairpin).</summary>
    public bool Masqueraded;
}
