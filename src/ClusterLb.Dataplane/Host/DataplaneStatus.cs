namespace ClusterLb.Dataplane.Host;

/// <summary>What a dataplane tells about itself; everything else stands in the flow tables, which anybody with the right can read.</summary>
public sealed record DataplaneStatus
{
    /// <summary>See <see cref="ControlMessage.CurrentProtocol"/>.</summary>
    public required int Protocol { get; init; }

    /// <summary>Identifies the build of the code that handles packets: another one is replaced by a new agent.</summary>
    public required Guid Build { get; init; }

    /// <summary>Of the program, for people; null before there was this field.</summary>
    public string? Version { get; init; }

    /// <summary>Process id.</summary>
    public required int Pid { get; init; }

    /// <summary>Packets are being served.</summary>
    public required bool Serving { get; init; }

    /// <summary>It has all it needs and waits for the dataplane that serves now to end.</summary>
    public bool IsSuccessor { get; init; }

    /// <summary>Of a successor: which files it waits with, as the agent called them.</summary>
    public string? Estate { get; init; }

    /// <summary>The number of this dataplane among all that ever served this state directory, from 1; 0 while it does not serve.</summary>
    public ulong Generation { get; init; }

    /// <summary>Packets that its predecessor had read when it was killed, and that this one carried on with.</summary>
    public int PacketsRecovered { get; init; }

    /// <summary>Worker threads, one per queue.</summary>
    public int Workers { get; init; }

    /// <summary>Time since <see cref="ControlKind.Start"/>, in milliseconds; 0 before.</summary>
    public long ServingForMs { get; init; }

    /// <summary>Flows that fit its tables, both families: a new agent that is configured otherwise replaces it.</summary>
    public int FlowCapacity { get; init; }

    /// <summary>A writer with other capacities has taken over the maps: this dataplane has to be replaced.</summary>
    public bool MapsRetired { get; init; }

    /// <summary>Managed memory, in bytes. Does not grow while serving.</summary>
    public long ManagedBytes { get; init; }

    /// <summary>Collections since the start. Does not grow while serving.</summary>
    public int Collections { get; init; }
}
