using System.Net;
using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>An API server that tests may fill, break and mend: the real kube-apiserver, or the fake in this process.</summary>
/// <remarks>Where the two differ, the real one is right and the fake is mended.</remarks>
public interface IApiServerUnderTest : IAsyncDisposable
{
    /// <summary>What it is and its version, for the log of the tests.</summary>
    string Version { get; }

    bool IsReal { get; }

    /// <summary>Where it listens, on loopback: HTTPS.</summary>
    IPEndPoint EndPoint { get; }

    /// <summary>What its certificate is verified by, as PEM. The certificate is good for localhost.</summary>
    string AuthorityPem { get; }

    /// <summary>A token of the service account that deploy/kubernetes/rbac.yaml gives its rights to.</summary>
    string AgentToken { get; }

    /// <summary>Creates an object; its namespace is created where it is missing.</summary>
    /// <returns>The object as the server keeps it.</returns>
    Task<JsonObject> CreateAsync(JsonObject item);

    /// <summary>Changes an object by a merge patch (RFC 7386).</summary>
    /// <param name="plural">Its resource, as in the path: services, endpointslices, nodes.</param>
    /// <param name="ns">Its namespace; empty for a Node.</param>
    /// <param name="name">Its name.</param>
    /// <param name="patch">The fields to change; null deletes one.</param>
    /// <param name="subresource">status, or empty for the object itself.</param>
    Task<JsonObject> PatchAsync(string plural, string ns, string name, JsonObject patch, string subresource = "");

    /// <summary>Deletes an object; it is no error if there is none.</summary>
    Task DeleteAsync(string plural, string ns, string name);

    /// <summary>The Events of a namespace (events.k8s.io/v1).</summary>
    Task<IReadOnlyList<JsonObject>> EventsAsync(string ns);

    /// <summary>Ends the server as kill -9 does: connections break, its port refuses. Its data stay.</summary>
    Task KillAsync();

    /// <summary>Starts it again after <see cref="KillAsync"/>, on the same port with the same data.</summary>
    Task StartAsync();

    /// <summary>Forgets all versions but the newest (etcd's compaction): who resumes a watch from before is told 410.</summary>
    /// <remarks>The server is not running meanwhile, and is started by this.</remarks>
    Task RestartCompactedAsync();

    /// <summary>Takes the right to a resource (services, endpointslices, …) from the agent's account; null gives all back.</summary>
    Task ForbidAgentAsync(string? plural);
}
