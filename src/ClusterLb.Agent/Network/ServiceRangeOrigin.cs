namespace ClusterLb.Agent.Network;

/// <summary>Who says where service addresses come from, best first.</summary>
internal enum ServiceRangeOrigin : byte
{
    /// <summary>ServiceCIDR objects of the API server.</summary>
    Cluster,

    /// <summary>serviceCIDRs in ClusterLbConfiguration.</summary>
    Configured,

    /// <summary>Nobody: the blocks that cover the cluster IPs seen so far.</summary>
    Guessed,
}
