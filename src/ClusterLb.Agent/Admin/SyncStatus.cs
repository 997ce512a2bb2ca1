namespace ClusterLb.Agent.Admin;

/// <summary>How far the objects that were read are in the maps.</summary>
public sealed record SyncStatus
{
    /// <summary>Where objects are read from.</summary>
    public required string Source { get; init; }

    /// <summary>How it stands with the API server; null if objects come from a directory.</summary>
    public ServerStatus? Server { get; init; }

    /// <summary>The first complete sync is done: the maps tell the whole truth.</summary>
    public required bool Complete { get; init; }

    /// <summary>End of the last sync without error; null before the first.</summary>
    public DateTimeOffset? LastSync { get; init; }

    /// <summary>Oldest change that is not applied yet; null if there is none.</summary>
    public DateTimeOffset? PendingSince { get; init; }

    /// <summary>Services that are served.</summary>
    public int Services { get; init; }

    /// <summary>Backends in the maps.</summary>
    public int Backends { get; init; }

    /// <summary>Why the last sync failed, a full map for example; empty if it did not.</summary>
    public string LastError { get; init; } = "";

    /// <summary>Objects, or parts of them, that are not served or are served differently, and why.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}
