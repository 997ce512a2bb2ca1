using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Both ports of a tuple in one word of a key: four bytes in memory, the source's first, each in network order.</summary>
internal static class FlowPorts
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint From(in FlowTuple tuple) =>
        NetworkOrder.Swap(tuple.SourcePort) | ((uint)NetworkOrder.Swap(tuple.DestinationPort) << 16);

    public static ushort Source(uint ports) => NetworkOrder.Swap((ushort)ports);

    public static ushort Destination(uint ports) => NetworkOrder.Swap((ushort)(ports >> 16));
}
