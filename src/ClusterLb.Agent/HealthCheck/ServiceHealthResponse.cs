using System.Globalization;
using System.Text;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>The answer of a health check node port, byte for byte kube-proxy's, tabs included.</summary>
internal static class ServiceHealthResponse
{
    /// <summary>The local backends as a number: balancers weigh the nodes by it, on 503 too.</summary>
    public const string WeightHeader = "X-Load-Balancing-Endpoint-Weight";

    /// <summary>Status and body.</summary>
    /// <param name="service">Whose port it is; its name needs no escaping (RFC 1123 labels).</param>
    /// <param name="localReady">Distinct addresses of ready backends on this node.</param>
    /// <param name="proxyHealthy">What /livez says.</param>
    public static (int Status, byte[] Body) Of(ObjectName service, int localReady, bool proxyHealthy)
    {
        string body = string.Create(
            CultureInfo.InvariantCulture,
            $"{{\n\t\"service\": {{\n\t\t\"namespace\": \"{service.Namespace}\",\n\t\t\"name\": \"{service.Name}\"\n\t}},\n" +
            $"\t\"localEndpoints\": {localReady},\n\t\"serviceProxyHealthy\": {(proxyHealthy ? "true" : "false")}\n}}");
        return (localReady > 0 && proxyHealthy ? 200 : 503, Encoding.UTF8.GetBytes(body));
    }
}
