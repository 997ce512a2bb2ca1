using System.Globalization;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>What is listed and watched: a resource, and which of its objects.</summary>
/// <param name="Plural">As in paths and permissions.</param>
/// <param name="Group">Empty for the core group.</param>
/// <param name="Kind">Of its objects.</param>
/// <param name="Selector">Query that narrows it, already escaped, or empty.</param>
internal sealed record ApiResource(string Plural, string Group, string Kind, string Selector = "")
{
    // What is another proxy's need not be sent at all, nor slices of headless services (R1); a Service with that label is one all the same.
    // Such objects are not ours even if a server sends them.
    private const string NotOthers = "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name";
    private const string NotHeadlessNotOthers = "labelSelector=%21service.kubernetes.io%2Fheadless%2C%21service.kubernetes.io%2Fservice-proxy-name";

    /// <summary>All Services that may be ours.</summary>
    public static ApiResource Services { get; } = new("services", "", ObjectReader.ServiceKind, NotOthers);

    /// <summary>All EndpointSlices that may be ours.</summary>
    public static ApiResource Slices { get; } = new("endpointslices", "discovery.k8s.io", ObjectReader.SliceKind, NotHeadlessNotOthers);

    /// <summary>Where cluster IPs come from.</summary>
    public static ApiResource ServiceCidrs { get; } = new("servicecidrs", "networking.k8s.io", "ServiceCIDR");

    /// <summary>group/v1.</summary>
    public string ApiVersion => Group.Length == 0 ? "v1" : Group + "/v1";

    /// <summary>Nothing is served without it; a server may lack, or not let us read, the others.</summary>
    public bool IsNeeded => this != ServiceCidrs;

    private string Path => Group.Length == 0 ? $"api/v1/{Plural}" : $"apis/{Group}/v1/{Plural}";

    /// <summary>This node's object alone: thousands of nodes tell their status all the time.</summary>
    public static ApiResource Node(string name) =>
        new("nodes", "", ObjectReader.NodeKind, "fieldSelector=" + Uri.EscapeDataString("metadata.name=" + name));

    /// <summary>One page of a list; all of it with a limit of 0.</summary>
    public string ListPath(int limit, string continueToken) => Query(
        limit > 0 ? $"limit={limit.ToString(CultureInfo.InvariantCulture)}" : "",
        continueToken.Length > 0 ? "continue=" + Uri.EscapeDataString(continueToken) : "");

    /// <summary>What happens after a resource version.</summary>
    public string WatchPath(string resourceVersion, TimeSpan timeout) =>
        Query("watch=true", "allowWatchBookmarks=true", "resourceVersion=" + Uri.EscapeDataString(resourceVersion), Timeout(timeout));

    /// <summary>All objects as events, a bookmark, and then what happens.</summary>
    public string StreamPath(TimeSpan timeout) =>
        Query("watch=true", "allowWatchBookmarks=true", "sendInitialEvents=true", "resourceVersionMatch=NotOlderThan", Timeout(timeout));

    private static string Timeout(TimeSpan timeout) => $"timeoutSeconds={Math.Max(1, (int)timeout.TotalSeconds).ToString(CultureInfo.InvariantCulture)}";

    private string Query(params ReadOnlySpan<string> parameters)
    {
        string query = string.Join('&', [.. ((IEnumerable<string>)[.. parameters, Selector]).Where(p => p.Length > 0)]);
        return query.Length == 0 ? Path : $"{Path}?{query}";
    }
}
