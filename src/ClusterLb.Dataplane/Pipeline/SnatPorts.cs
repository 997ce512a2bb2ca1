namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The source ports of masqueraded flows that are kept free for us (net.ipv4.ip_local_reserved_ports).</summary>
/// <remarks>Above the kernel's usual ephemeral range, which ends at 60999. Fixed: the dataplane chooses from what the agent reserves.</remarks>
public static class SnatPorts
{
    /// <summary>The first.</summary>
    public const ushort First = 61_000;

    /// <summary>The last.</summary>
    public const ushort Last = 65_535;
}
