using System.Net;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>The health check node port of one service in one family.</summary>
internal sealed class HealthCheckPort(ObjectName service, bool isIpv4, ushort port)
{
    private volatile int _localReady;

    /// <summary>Whose it is.</summary>
    public ObjectName Service => service;

    /// <summary>Of which family.</summary>
    public bool IsIpv4 => isIpv4;

    /// <summary>spec.healthCheckNodePort.</summary>
    public ushort Port => port;

    /// <summary>Distinct addresses of ready backends on this node. Any thread.</summary>
    public int LocalReady
    {
        get => _localReady;
        set => _localReady = value;
    }

    /// <summary>Where it listens: nowhere if the node has no address of the family. Null if it does not yet, or could not.</summary>
    public IReadOnlyList<IPEndPoint>? Open { get; set; }

    /// <summary>Why it does not listen; null if it does.</summary>
    public string? Problem { get; set; }
}
