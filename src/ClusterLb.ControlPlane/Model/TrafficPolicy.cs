namespace ClusterLb.ControlPlane.Model;

/// <summary>Which backends traffic may reach (spec.internalTrafficPolicy, spec.externalTrafficPolicy).</summary>
public enum TrafficPolicy : byte
{
    /// <summary>Those of every node.</summary>
    Cluster = 0,

    /// <summary>Those of this node.</summary>
    Local = 1,
}
