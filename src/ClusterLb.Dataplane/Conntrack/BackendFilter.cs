using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Remembers the addresses that flows were sent to, so that a packet from one of them without a flow is known for
/// what it is: a reply that nobody can translate back any more.</summary>
/// <remarks>A Bloom filter of 1 MiB: no false "never seen"; at 250,000 backends with an address each, one in 80 strangers is taken for a backend,
/// which matters only for packets that belong to nobody. Thread-safe; read and written by all workers, once per new flow.</remarks>
internal sealed class BackendFilter
{
    private const int BitsLog2 = 23;
    private const ulong Seed = 0x5851_F42D_4C95_7F2D;

    private readonly uint[] _words = new uint[1 << (BitsLog2 - 5)];

    public void Add(IpAddr address, ushort port, IpProtocol protocol)
    {
        Add(Hash(address, port, protocol));
        Add(Hash(address, 0, IpProtocol.Any));
    }

    public bool MayContain(IpAddr address, ushort port, IpProtocol protocol) => MayContain(Hash(address, port, protocol));

    /// <summary>At any port, by any protocol.</summary>
    public bool MayContain(IpAddr address) => MayContain(Hash(address, 0, IpProtocol.Any));

    private void Add(ulong hash)
    {
        Set((uint)(hash >> 32));
        Set((uint)hash);
    }

    private bool MayContain(ulong hash) => IsSet((uint)(hash >> 32)) && IsSet((uint)hash);

    private void Set(uint hash)
    {
        uint bit = hash >> (32 - BitsLog2);
        ref uint word = ref _words[bit >> 5];
        if ((Volatile.Read(ref word) & (1u << (int)bit)) == 0) // most are: then the line stays shared between the workers
        {
            Interlocked.Or(ref word, 1u << (int)bit);
        }
    }

    private bool IsSet(uint hash)
    {
        uint bit = hash >> (32 - BitsLog2);
        return (Volatile.Read(ref _words[bit >> 5]) & (1u << (int)bit)) != 0;
    }

    private static ulong Hash(IpAddr address, ushort port, IpProtocol protocol) =>
        SeededHash.Of(address, Seed, ((ulong)port << 8) | (ulong)protocol);
}
