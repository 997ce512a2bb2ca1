namespace ClusterLb.ClusterRun;

/// <summary>The service proxies by their names in <c>CLUSTERLB_CLUSTER_COLUMNS</c>.</summary>
internal static class ServiceProxies
{
    /// <summary>All that the settings name, in their order.</summary>
    public static IEnumerable<IServiceProxy> Of(ClusterSettings settings, Kubectl kubectl, RunFolder folder) => settings.Columns.Select(column => (IServiceProxy)(column switch
    {
        "clusterlb" => new ClusterLbProxy(settings, kubectl, folder),
        "daemonset" => new ClusterLbDaemonSet(settings, kubectl),
        _ => new KubeProxy(settings, column, folder),
    }));
}
