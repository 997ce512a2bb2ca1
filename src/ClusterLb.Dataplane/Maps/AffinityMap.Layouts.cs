using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>What names the client in an affinity entry.</summary>
internal enum AffinityClient : uint
{
    /// <summary>Its address (packet mode).</summary>
    Address = 0,

    /// <summary>The cookie of its network namespace (socket mode, where the address is not chosen yet).</summary>
    NetnsCookie = 1,
}

/// <summary>A place of affinity4, a flow table: written by the dataplane. The key is bytes 4 to 19.</summary>
/// <remarks>The client is 8 bytes: an IPv4 address and zeros, or a cookie. The last use is a single aligned word, so that a packet
/// refreshes an entry by one store.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 32)]
internal struct AffinityPlace4
{
    public uint Generation;
    public uint ServicePortId;
    public Ipv4Bytes ClientAddress;
    public uint ClientRest;
    public AffinityClient ClientKind;
    public uint BackendId;
    public ulong LastUsedMs; // CLOCK_MONOTONIC
}

/// <summary>A place of affinity6. The key is bytes 4 to 27; a cookie takes the first 8 bytes of the address.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 64)]
internal struct AffinityPlace6
{
    public uint Generation;
    public uint ServicePortId;
    public Ipv6Bytes ClientAddress;
    public AffinityClient ClientKind;
    public uint BackendId;
    public ulong LastUsedMs; // CLOCK_MONOTONIC
}
