namespace ClusterLb.Dataplane.Tun;

/// <summary>What the kernel's TUN driver can do.</summary>
/// <param name="MultiQueue">Several descriptors may serve one interface (IFF_MULTI_QUEUE, Linux 3.8).</param>
/// <param name="VnetHeader">Packets come with offload metadata before them (IFF_VNET_HDR).</param>
public readonly record struct TunSupport(bool MultiQueue, bool VnetHeader);
