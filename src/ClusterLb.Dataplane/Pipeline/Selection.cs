namespace ClusterLb.Dataplane.Pipeline;

/// <summary>How the backend of a new flow came to be: what explain and the trace tell. Meaningful for new flows only.</summary>
public struct Selection
{
    /// <summary>What decided.</summary>
    public SelectionKind Kind;

    /// <summary>The backend is one of the service that gets a share of the connections.</summary>
    public bool IsCanary;

    /// <summary>The number that decided: a random one, a hash, a turn; for <see cref="SelectionKind.LeastConnections"/> and
    /// <see cref="SelectionKind.ShortestExpectedDelay"/> the flows that the backend had.</summary>
    public uint Number;

    /// <summary>The slot it led to: of the frontend from 1, of a Maglev table from 0.</summary>
    public uint Slot;
}

/// <summary>What decided about a backend.</summary>
public enum SelectionKind : byte
{
    /// <summary>Nothing yet.</summary>
    None = 0,

    /// <summary>A random number.</summary>
    Random,

    /// <summary>Session affinity: the client has been there within the timeout.</summary>
    Pinned,

    /// <summary>The next turn.</summary>
    RoundRobin,

    /// <summary>The fewest active flows.</summary>
    LeastConnections,

    /// <summary>The shortest expected delay.</summary>
    ShortestExpectedDelay,

    /// <summary>The Maglev table, by the hash of the flow.</summary>
    Maglev,

    /// <summary>The Maglev table, by the hash of the client's address.</summary>
    SourceHash,

    /// <summary>The Maglev table, by the hash of what the client dials.</summary>
    DestinationHash,

    /// <summary>A hash, by slots: there is no Maglev table, because the map is full or the table is not built yet.</summary>
    HashWithoutTable,
}
