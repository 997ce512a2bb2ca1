namespace ClusterLb.ClusterRun;

/// <summary>Which processes of a service proxy are ended. kube-proxy is an agent alone.</summary>
internal enum ProxyPart
{
    /// <summary>The one that follows the API server.</summary>
    Agent,

    /// <summary>The one that translates packets.</summary>
    Dataplane,

    /// <summary>Both at once. The process that waits to follow the dataplane is left.</summary>
    Both,

    /// <summary>All processes at once.</summary>
    All,
}
