namespace ClusterLb.ClusterRun;

/// <summary>What makes service addresses work on every node: ClusterLb, or kube-proxy.</summary>
internal interface IServiceProxy
{
    /// <summary>Heading of its column.</summary>
    string Name { get; }

    /// <summary>Starts it on all nodes.</summary>
    Task StartAsync();

    /// <summary>Ends it on all nodes and removes what it had set up. Nothing happens where it does not run.</summary>
    Task StopAsync();

    /// <summary>Whether it has such processes.</summary>
    bool Has(ProxyPart part);

    /// <summary>Ends processes on all nodes, by -9 or TERM, and returns when all of it serves again.</summary>
    Task EndAsync(ProxyPart part, bool kill);
}
