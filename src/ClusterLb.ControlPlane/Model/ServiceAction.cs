namespace ClusterLb.ControlPlane.Model;

/// <summary>How a service changed.</summary>
public enum ServiceAction : byte
{
    /// <summary>It is new.</summary>
    Add,

    /// <summary>It is different.</summary>
    Update,

    /// <summary>It is gone, or not proxied any more.</summary>
    Delete,
}
