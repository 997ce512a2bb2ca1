using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>A Service as the API server keeps it.</summary>
internal sealed class CheckedService(JsonNode service)
{
    private readonly JsonNode _spec = service["spec"]!;

    /// <summary>Its IPv4 cluster IP with the port.</summary>
    public IPEndPoint At(int port = 80) => new(ClusterIp(AddressFamily.InterNetwork), port);

    /// <summary>Its IPv6 cluster IP with the port.</summary>
    public IPEndPoint At6(int port = 80) => new(ClusterIp(AddressFamily.InterNetworkV6), port);

    /// <summary>The node port of the port with this name, or of the first one.</summary>
    public int NodePort(string? name = null) =>
        (int?)_spec["ports"]!.AsArray().First(p => name is null || (string?)p!["name"] == name)!["nodePort"]
            ?? throw new CheckFailedException("it has no node port");

    /// <summary>Where its health is asked on a node.</summary>
    public int HealthCheckNodePort =>
        (int?)_spec["healthCheckNodePort"] ?? throw new CheckFailedException("it has no health check node port");

    private IPAddress ClusterIp(AddressFamily family) =>
        _spec["clusterIPs"]!.AsArray().Select(a => IPAddress.Parse((string)a!)).FirstOrDefault(a => a.AddressFamily == family)
            ?? throw new CheckFailedException($"it has no cluster IP of the family {family}");
}
