using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>One flow as it lies in the file: 96 bytes for IPv4, 144 for IPv6.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct FlowPlace<TKey>
    where TKey : unmanaged, IFlowKey<TKey>
{
    /// <summary>Upper half: the generation, even and not 0 while the place holds a flow. Lower half: <see cref="FlowState"/>.
    /// One word, so that a worker which is late cannot change the state of the place's next flow.</summary>
    public ulong Life;

    /// <summary>CLOCK_MONOTONIC milliseconds.</summary>
    public long ExpiresMs;

    /// <summary>Of the service port, when this flow's backend was last known to serve.</summary>
    public ulong Revision;

    public ulong ClientPackets;
    public ulong ClientBytes;
    public ulong BackendPackets;
    public ulong BackendBytes;

    /// <summary>In a free place: the next free place. Not in a word that a late worker may still write to.</summary>
    public uint BackendId;

    public uint RevNatId;
    public uint ServicePortId;
    public ushort Queue;
    public IpProtocol Protocol;
    public FlowFlags Flags;

    /// <summary>Client to frontend.</summary>
    public TKey Original;

    /// <summary>Backend to client, or to the masquerade address.</summary>
    public TKey Reply;
}
