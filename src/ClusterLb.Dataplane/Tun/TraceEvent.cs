using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Tun;

/// <summary>What happened to one packet.</summary>
public sealed record TraceEvent
{
    /// <summary>The worker that handled it, from 0.</summary>
    public required int Worker { get; init; }

    /// <summary>CLOCK_MONOTONIC of its batch, nanoseconds.</summary>
    public required long TimeNs { get; init; }

    /// <summary>What became of it.</summary>
    public required Verdict Verdict { get; init; }

    /// <summary>Why, if it was dropped or rejected.</summary>
    public required DropReason DropReason { get; init; }

    /// <summary>As it was read; all zero if it could not be parsed.</summary>
    public required FlowTuple Tuple { get; init; }

    /// <summary>As it was written; meaningful for <see cref="Verdict.Forward"/>.</summary>
    public required FlowTuple Translated { get; init; }

    /// <summary>Id of the frontend, or 0.</summary>
    public required uint RevNatId { get; init; }

    /// <summary>Id of the service port, or 0.</summary>
    public required uint ServicePortId { get; init; }

    /// <summary>Id of the backend, or 0.</summary>
    public required uint BackendId { get; init; }

    /// <summary>Bytes of the packet as it was written (for a drop: as it was read).</summary>
    public required int LengthBytes { get; init; }

    /// <summary>The queue of its flow.</summary>
    public required int Queue { get; init; }

    /// <summary>What else is to be said.</summary>
    public required TraceFlags Flags { get; init; }
}
