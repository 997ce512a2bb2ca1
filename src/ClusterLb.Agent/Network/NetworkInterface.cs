namespace ClusterLb.Agent.Network;

/// <summary>An interface.</summary>
/// <param name="Index">Number in this network namespace.</param>
/// <param name="Name">Name.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="IsLoopback">lo.</param>
/// <param name="IsUp">Administratively.</param>
public readonly record struct NetworkInterface(int Index, string Name, int Mtu, bool IsLoopback, bool IsUp)
{
    /// <summary>What the kernel calls its kind: bridge, veth, tun; empty for hardware.</summary>
    public string Kind { get; init; } = "";

    /// <summary>Its hardware address as people write it; empty if it has none.</summary>
    public string HardwareAddress { get; init; } = "";

    /// <summary>The interface that it is a port of, a bridge for example; 0 if of none.</summary>
    public int MasterIndex { get; init; }

    /// <summary>Of a bridge: whether it, by its own setting, shows switched IPv4 packets to iptables and nft's inet family.</summary>
    public bool CallsIptables { get; init; }

    /// <summary>The same for IPv6.</summary>
    public bool CallsIp6tables { get; init; }
}
