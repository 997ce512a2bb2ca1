using System.Net;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>The API server refused a request of the tests.</summary>
public sealed class KubernetesApiException(HttpStatusCode status, string message) : Exception(message)
{
    public HttpStatusCode Status { get; } = status;
}
