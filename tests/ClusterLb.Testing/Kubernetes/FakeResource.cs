namespace ClusterLb.Testing.Kubernetes;

/// <summary>A kind of object that <see cref="FakeApiServer"/> serves.</summary>
/// <param name="Plural">As in paths.</param>
/// <param name="ApiVersion">group/version, or version.</param>
/// <param name="Kind">Of its objects.</param>
/// <param name="IsNamespaced">Its objects are in namespaces.</param>
internal sealed record FakeResource(string Plural, string ApiVersion, string Kind, bool IsNamespaced)
{
    public static IReadOnlyList<FakeResource> All { get; } =
    [
        new("services", "v1", "Service", true),
        new("nodes", "v1", "Node", false),
        new("endpointslices", "discovery.k8s.io/v1", "EndpointSlice", true),
        new("servicecidrs", "networking.k8s.io/v1", "ServiceCIDR", false),
        new("events", "events.k8s.io/v1", "Event", true),
    ];

    /// <summary>The group; empty for the core group.</summary>
    public string Group => ApiVersion.Contains('/', StringComparison.Ordinal) ? ApiVersion[..ApiVersion.IndexOf('/', StringComparison.Ordinal)] : "";

    /// <summary>Path of all objects, of all namespaces.</summary>
    public string Path => KubernetesApi.PathOf(ApiVersion, Plural, "");

    public static FakeResource Of(string plural) => All.Single(r => r.Plural == plural);
}
