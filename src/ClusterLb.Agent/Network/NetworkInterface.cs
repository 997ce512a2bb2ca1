namespace ClusterLb.Agent.Network;

/// <summary>An interface.</summary>
/// <param name="Index">Number in this network namespace.</param>
/// <param name="Name">Name.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="IsLoopback">lo.</param>
/// <param name="IsUp">Administratively.</param>
public readonly record struct NetworkInterface(int Index, string Name, int Mtu, bool IsLoopback, bool IsUp);
