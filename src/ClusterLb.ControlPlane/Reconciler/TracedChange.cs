using System.Text.Json.Serialization;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>How long one change took, stage by stage, from the API server's clock to the first packet. All times in milliseconds.</summary>
public sealed record TracedChange
{
    /// <summary>Counts from 1, in the order in which changes were written.</summary>
    public required long Number { get; init; }

    /// <summary>Whose entries it changed: namespace/name.</summary>
    public required string Service { get; init; }

    /// <summary>Service or EndpointSlice.</summary>
    public required string Kind { get; init; }

    /// <summary>What changed: namespace/name.</summary>
    public required string Object { get; init; }

    /// <summary>IPv4 or IPv6; empty for a Service.</summary>
    public string Family { get; init; } = "";

    /// <summary>The object was deleted, or is not proxied any more.</summary>
    public bool IsRemoval { get; init; }

    /// <summary>When the control plane says that it happened; null if it does not say.</summary>
    public DateTimeOffset? Triggered { get; init; }

    /// <summary>When its bytes were here, by this node's clock.</summary>
    public required DateTimeOffset Received { get; init; }

    /// <summary>API: from the control plane's time to its bytes; null without such a time.</summary>
    public double? ApiMs { get; init; }

    /// <summary>How far the control plane's time lay in our future: its clock is ahead of ours, so <see cref="ApiMs"/> is told as 0.</summary>
    public double ClockSkewMs { get; init; }

    /// <summary>Read: from its bytes until it was queued.</summary>
    public double ReadMs { get; init; }

    /// <summary>Write: from the queue until its last map entry was written. With it the time that changes wait for each other.</summary>
    public double WriteMs { get; init; }

    /// <summary>Of <see cref="WriteMs"/>: until the sync began that wrote it.</summary>
    public double WaitMs { get; init; }

    /// <summary>Of <see cref="WriteMs"/>: how long the runtime stopped all threads to collect garbage.</summary>
    public double GcMs { get; init; }

    /// <summary>Packet: from the last map entry to the first new flow that chose a backend which the change made eligible.</summary>
    public double? PacketMs { get; init; }

    /// <summary>From the first stage that is known to the last: API or read, to write or packet.</summary>
    public double TotalMs { get; init; }

    /// <summary>Entries written or deleted; changes of one service that were written together share them.</summary>
    public long Writes { get; init; }

    /// <summary>Whether a first packet is to be expected.</summary>
    public FirstPacket FirstPacket { get; init; }
}

/// <summary>What became of the first packet of a change.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FirstPacket>))]
public enum FirstPacket : byte
{
    /// <summary>The change made no backend eligible.</summary>
    None,

    /// <summary>Not seen yet.</summary>
    Awaited,

    /// <summary>Seen.</summary>
    Seen,

    /// <summary>It did not come for a minute, or later changes needed the places: not awaited any more.</summary>
    GivenUp,
}
