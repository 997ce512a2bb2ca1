using Map4 = ClusterLb.Dataplane.Maps.TypedMap<
    ClusterLb.Dataplane.IpPrefix, ClusterLb.Dataplane.Maps.NetworkFlags, ClusterLb.Dataplane.Maps.NetworkKey4, uint, ClusterLb.Dataplane.Maps.NetworkLayout4>;
using Map6 = ClusterLb.Dataplane.Maps.TypedMap<
    ClusterLb.Dataplane.IpPrefix, ClusterLb.Dataplane.Maps.NetworkFlags, ClusterLb.Dataplane.Maps.NetworkKey6, uint, ClusterLb.Dataplane.Maps.NetworkLayout6>;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Blocks of addresses and what they are.</summary>
public sealed class NetworkMap : PrefixMap<IpPrefix, NetworkFlags>
{
    private readonly Map4 _ipv4;
    private readonly Map6 _ipv6;

    internal NetworkMap(MapSource source, int capacity)
        : this(new Map4(source.Open<NetworkKey4, uint>("networks4", capacity)), new Map6(source.Open<NetworkKey6, uint>("networks6", capacity)))
    {
    }

    private NetworkMap(Map4 ipv4, Map6 ipv6)
        : base("networks", ipv4, ipv6)
    {
        _ipv4 = ipv4;
        _ipv6 = ipv6;
    }

    /// <summary>The union of all blocks that contain the address: one lookup per prefix length in use.</summary>
    public NetworkFlags Classify(IpAddr address)
    {
        PrefixLengths lengths = LengthsFor(address);
        var flags = NetworkFlags.None;
        for (int i = 0; i < PrefixLengths.WordCount; i++)
        {
            ulong word = lengths.Word(i);
            while (word != 0)
            {
                int length = PrefixLengths.Take(ref word, i);
                if (TryLookup(new IpPrefix(address, Math.Min(length, address.BitLength)), out NetworkFlags found))
                {
                    flags |= found;
                }
            }
        }

        return flags;
    }

    /// <inheritdoc/>
    public override bool TryLookup(in IpPrefix key, out NetworkFlags entry) =>
        key.Address.IsIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    private protected override IpPrefix BlockOf(in IpPrefix key) => key;
}
