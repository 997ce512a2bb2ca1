namespace ClusterLb.ControlPlane.Model;

/// <summary>spec.type of a service that can be proxied (ExternalName cannot).</summary>
public enum ServiceType : byte
{
    /// <summary>The default.</summary>
    ClusterIP = 0,

    /// <summary>ClusterIP and node ports.</summary>
    NodePort = 1,

    /// <summary>NodePort and the addresses of status.loadBalancer.</summary>
    LoadBalancer = 2,
}
