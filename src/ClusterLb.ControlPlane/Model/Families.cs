namespace ClusterLb.ControlPlane.Model;

/// <summary>Address families that something concerns.</summary>
[Flags]
public enum Families
{
    /// <summary>Neither.</summary>
    None = 0,

    /// <summary>IPv4.</summary>
    Ipv4 = 1,

    /// <summary>IPv6.</summary>
    Ipv6 = 2,

    /// <summary>Both.</summary>
    Both = Ipv4 | Ipv6,
}
