namespace ClusterLb.ClusterRun;

/// <summary>Which processes of a service proxy are ended. kube-proxy is an agent alone.</summary>
internal enum ProxyPart
{
    /// <summary>The one that follows the API server.</summary>
    Agent,

    /// <summary>The one that translates packets.</summary>
    Dataplane,

    /// <summary>Both at once.</summary>
    Both,
}
