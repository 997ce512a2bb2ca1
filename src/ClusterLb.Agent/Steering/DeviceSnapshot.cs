namespace ClusterLb.Agent.Steering;

/// <summary>An interface as it is.</summary>
/// <param name="Kind">tun, veth, bridge …; empty for hardware.</param>
/// <param name="Alias">Free text (ifalias): ours names the state directory that owns the device.</param>
/// <param name="IsUp">Administratively.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="QueueLength">Packets (txqueuelen).</param>
/// <param name="Addresses">With prefix lengths.</param>
internal sealed record DeviceSnapshot(
    string Kind, string Alias, bool IsUp, int Mtu, int QueueLength, IReadOnlyList<string> Addresses);
