using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Agent.Admin;

/// <summary>What the agent tells about itself and what it watches over: GET /status.</summary>
public sealed record AgentStatus
{
    /// <summary>Of the program.</summary>
    public required string Version { get; init; }

    /// <summary>The agent's process id.</summary>
    public required int Pid { get; init; }

    /// <summary>Since when it runs.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Name of this node.</summary>
    public required string NodeName { get; init; }

    /// <summary>DIR.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Traffic can be trusted to this node: what /livez says.</summary>
    public required bool Healthy { get; init; }

    /// <summary>False while the node is being drained: /healthz says 503 then, though all may be well.</summary>
    public bool NodeEligible { get; init; } = true;

    /// <summary>Where services come from, and how far they are applied.</summary>
    public required SyncStatus Sync { get; init; }

    /// <summary>The dataplane process; null if none answers.</summary>
    public DataplaneStatus? Dataplane { get; init; }

    /// <summary>How the dataplane came to serve when this agent began.</summary>
    public DataplaneStart DataplaneStart { get; init; }

    /// <summary>Dataplanes that ended unasked since this agent began.</summary>
    public int DataplaneRestarts { get; init; }

    /// <summary>The process that serves at once should the dataplane end; null if there is none.</summary>
    public int? Successor { get; init; }

    /// <summary>Why there is none, or what became of the last one; empty if all is well.</summary>
    public string DataplaneState { get; init; } = "";

    /// <summary>What is installed in the kernel.</summary>
    public required SteeringStatus Steering { get; init; }

    /// <summary>What people should look at although traffic is served, each a sentence: steering that others undo, a kernel's flow table that fills.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Fill of every map and flow table.</summary>
    public IReadOnlyList<MapStatus> Maps { get; init; } = [];
}
