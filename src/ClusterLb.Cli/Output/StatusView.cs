using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Capabilities;

namespace ClusterLb.Cli.Output;

/// <summary>What <c>status</c> shows: what the agent tells, if one answers, and what the files tell without it.</summary>
/// <param name="StateDir">The state directory.</param>
/// <param name="Agent">Null if no agent answers.</param>
/// <param name="AgentProblem">Why no agent answers; else null.</param>
/// <param name="Synced">The maps tell the whole truth: the first complete sync was done.</param>
/// <param name="Workers">Dataplane workers with a sign of life in the last seconds.</param>
/// <param name="HeartbeatAgeMs">Since the last sign of life of any worker; null if there was none.</param>
/// <param name="Flows">Flows in the conntrack table; null if this user may not look.</param>
/// <param name="Orphans">Of these, TCP connections whose backend has left its service; null if this user may not look.</param>
/// <param name="Maps">Fill of the load-balancing maps.</param>
/// <param name="Packets">Packets by verdict; null if this user may not look.</param>
/// <param name="Drops">Packets dropped or rejected, by reason; null if this user may not look.</param>
/// <param name="Capabilities">What the kernel and the machine can do.</param>
internal sealed record StatusView(
    string StateDir,
    AgentStatus? Agent,
    string? AgentProblem,
    bool Synced,
    int Workers,
    long? HeartbeatAgeMs,
    int? Flows,
    int? Orphans,
    IReadOnlyList<MapStatus> Maps,
    IReadOnlyDictionary<string, ulong>? Packets,
    IReadOnlyDictionary<string, ulong>? Drops,
    IReadOnlyList<Capability> Capabilities)
{
    /// <summary>What of the forwarded packets was not plain traffic; null if this user may not look.</summary>
    public IReadOnlyDictionary<string, ulong>? Special { get; init; }

    /// <summary>An agent answers and says that all is well, every service is served completely, changes are followed, and nothing is amiss on the node.</summary>
    public bool IsHealthy => Agent is { Healthy: true, Warnings.Count: 0 } && IsWhole && IsFollowing;

    /// <summary>As far as an agent tells: what changes in the API server comes here.</summary>
    public bool IsFollowing => Agent is not { Sync.Server.Connected: false };

    /// <summary>As far as an agent tells: no map was full, and the last sync did not fail.</summary>
    public bool IsWhole => Agent is not { Sync.LastError.Length: > 0 };

    /// <summary>Packets are balanced, whoever follows changes: workers live and the maps are complete.</summary>
    public bool IsServing => Synced && Workers > 0;
}
