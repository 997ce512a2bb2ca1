using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which fragments belong together, as it lies in the file: 40 bytes. IPv4 addresses are in their IPv4-mapped form.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 40)]
internal readonly struct FragmentKey(in FlowTuple tuple, uint id)
{
    private readonly Ipv6Bytes _source = new(tuple.Source);
    private readonly Ipv6Bytes _destination = new(tuple.Destination);
    private readonly uint _id = id;

    // Part of the key in IPv4 (RFC 791, section 3.2), not in IPv6 (RFC 8200, section 4.5), where a later fragment may not even tell it.
    private readonly uint _protocol = tuple.IsIpv4 ? (uint)tuple.Protocol : 0;

    public IpAddr Source => _source.ToAddress();

    public IpAddr Destination => _destination.ToAddress();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Matches(in FragmentKey other) =>
        _id == other._id && _protocol == other._protocol && Destination == other.Destination && Source == other.Source;
}

/// <summary>A place of the file fragments: 64 bytes, a cache line. Written by the dataplane.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 64)]
internal struct FragmentPlace
{
    /// <summary>Odd while it is being written; even and not 0: complete.</summary>
    public uint Generation;

    /// <summary>Ports of the first fragment, host order: source in the upper half, destination in the lower; of a ping its identifier, twice.</summary>
    public uint Ports;

    /// <summary>When it is forgotten, CLOCK_MONOTONIC milliseconds; 0 in an empty place.</summary>
    public long ExpiresMs;

    public FragmentKey Key;

    /// <summary>Of the datagram.</summary>
    public uint Protocol;
}
