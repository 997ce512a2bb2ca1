using System.Runtime.CompilerServices;
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

/// <summary>Who is pinned, and for which service port, as it lies in the file.</summary>
internal interface IAffinityKey<TSelf>
    where TSelf : unmanaged, IAffinityKey<TSelf>
{
    /// <summary>Bytes from one place to the next.</summary>
    static abstract int PlaceSize { get; }

    static abstract TSelf From(uint servicePortId, IpAddr client);

    /// <summary>0 in an empty place.</summary>
    uint ServicePortId { get; }

    AffinityClient ClientKind { get; }

    /// <summary>Meaningless for a cookie.</summary>
    IpAddr ClientAddress { get; }

    bool Matches(in TSelf other);
}

/// <summary>Key of affinity4. The client is 8 bytes: an IPv4 address and zeros, or a cookie.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 16)]
internal readonly struct AffinityKey4(uint servicePortId, IpAddr client, AffinityClient kind = AffinityClient.Address) : IAffinityKey<AffinityKey4>
{
    private readonly uint _servicePortId = servicePortId;
    private readonly Ipv4Bytes _client = new(client);
    private readonly uint _clientRest = 0;
    private readonly AffinityClient _kind = kind;

    public static int PlaceSize => 32;

    public static AffinityKey4 From(uint servicePortId, IpAddr client) => new(servicePortId, client);

    public uint ServicePortId => _servicePortId;

    public AffinityClient ClientKind => _kind;

    public IpAddr ClientAddress => _client.ToAddress();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Matches(in AffinityKey4 other) =>
        Unsafe.BitCast<AffinityKey4, UInt128>(this) == Unsafe.BitCast<AffinityKey4, UInt128>(other);
}

/// <summary>Key of affinity6; a cookie takes the first 8 bytes of the address.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 24)]
internal readonly struct AffinityKey6(uint servicePortId, IpAddr client, AffinityClient kind = AffinityClient.Address) : IAffinityKey<AffinityKey6>
{
    private readonly uint _servicePortId = servicePortId;
    private readonly Ipv6Bytes _client = new(client);
    private readonly AffinityClient _kind = kind;

    public static int PlaceSize => 64;

    public static AffinityKey6 From(uint servicePortId, IpAddr client) => new(servicePortId, client);

    public uint ServicePortId => _servicePortId;

    public AffinityClient ClientKind => _kind;

    public IpAddr ClientAddress => _client.ToAddress();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Matches(in AffinityKey6 other) =>
        _servicePortId == other._servicePortId && _kind == other._kind && _client.ToAddress() == other._client.ToAddress();
}

/// <summary>A place of affinity4 or affinity6, flow tables: written by the dataplane. The rest of the place is zeros.</summary>
/// <remarks>The last use is a single aligned word, so that a packet refreshes an entry by one store.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct AffinityPlace<TKey>
    where TKey : unmanaged, IAffinityKey<TKey>
{
    /// <summary>Odd while it is being written; even and not 0: complete.</summary>
    public uint Generation;

    public TKey Key;

    public uint BackendId;

    /// <summary>Time of the latest new connection and timeout: <see cref="AffinityUse"/>.</summary>
    public ulong Use;
}

/// <summary>When an affinity entry was used last, and for how long that holds: one word, CLOCK_MONOTONIC milliseconds in the upper 44 bits,
/// the timeout of that moment in seconds in the lower 20.</summary>
internal static class AffinityUse
{
    private const int TimeoutBits = 20; // a day has 17; 44 bits of milliseconds are five centuries
    private const ulong TimeoutMask = (1UL << TimeoutBits) - 1;

    public static ulong Pack(long nowMs, uint timeoutSeconds) => ((ulong)nowMs << TimeoutBits) | (timeoutSeconds & TimeoutMask);

    public static long LastUsedMs(ulong use) => (long)(use >> TimeoutBits);

    public static long ExpiresMs(ulong use) => LastUsedMs(use) + ((long)(use & TimeoutMask) * 1000);
}
