namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The source ports that may stand next to this node's address in a masqueraded flow.</summary>
/// <remarks>
/// Outside of node ports (30000-32767) and of the kernel's usual ephemeral range (32768-60999), so that they meet neither what
/// the node listens on for services nor what it connects from. Fixed: the dataplane chooses from what the agent reserves
/// (net.ipv4.ip_local_reserved_ports, the upper range, if the kernel would hand it out).
/// </remarks>
public static class SnatPorts
{
    /// <summary>First of the upper range, which is reserved for us.</summary>
    public const ushort First = 61_000;

    /// <summary>Last of the upper range.</summary>
    public const ushort Last = 65_535;

    /// <summary>First of the lower range, which is larger, but where servers live.</summary>
    public const ushort LowFirst = 1_024;

    /// <summary>Last of the lower range.</summary>
    public const ushort LowLast = 29_999;

    /// <summary>Ports in both ranges.</summary>
    public const int Count = UpperCount + LowerCount;

    internal const int UpperCount = Last - First + 1;

    internal const int LowerCount = LowLast - LowFirst + 1;

    /// <summary>The upper range first, then the lower one.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    public static ushort PortAt(int index) => (ushort)(index < UpperCount ? First + index : LowFirst + index - UpperCount);

    /// <summary>The inverse of <see cref="PortAt"/>; false for a port of neither range.</summary>
    public static bool TryIndexOf(ushort port, out int index)
    {
        index = port >= First ? port - First : UpperCount + port - LowFirst;
        return port >= First || port is >= LowFirst and <= LowLast;
    }
}
