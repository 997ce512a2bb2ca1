using ClusterLb.Agent.Explain;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Agent.Admin;

/// <summary>What requests of the admin API act on: the node agent; in tests, a record of what was asked.</summary>
internal interface IAdminTarget
{
    /// <summary>GET /status.</summary>
    Task<AgentStatus> StatusAsync(CancellationToken cancellation);

    /// <summary>GET /sync/trace.</summary>
    SyncTraceReport SyncTrace();

    /// <summary>GET /decisions: how the compiler came to the backends of a service port; null if there is no such port.</summary>
    BackendDecisions? Decisions(string servicePort, IpProtocol protocol, bool isIpv4);

    /// <summary>POST /conntrack/flush.</summary>
    /// <returns>How many flows were forgotten.</returns>
    Task<long> FlushAsync(FlushRequest which, CancellationToken cancellation);

    /// <summary>POST /dataplane/stop.</summary>
    Task<AdminAnswer> StopDataplaneAsync(CancellationToken cancellation);

    /// <summary>POST /dataplane/start.</summary>
    Task<AdminAnswer> StartDataplaneAsync(CancellationToken cancellation);

    /// <summary>POST /resync. It is done soon, not at once.</summary>
    AdminAnswer Resync();
}
