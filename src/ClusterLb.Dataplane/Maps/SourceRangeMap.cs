using Map4 = ClusterLb.Dataplane.Maps.TypedMap<
    ClusterLb.Dataplane.Maps.SourceRangeKey, byte, ClusterLb.Dataplane.Maps.SourceRangeKey4,
    ClusterLb.Dataplane.Maps.SourceRangeVerdict, ClusterLb.Dataplane.Maps.SourceRangeLayout4>;
using Map6 = ClusterLb.Dataplane.Maps.TypedMap<
    ClusterLb.Dataplane.Maps.SourceRangeKey, byte, ClusterLb.Dataplane.Maps.SourceRangeKey6,
    ClusterLb.Dataplane.Maps.SourceRangeVerdict, ClusterLb.Dataplane.Maps.SourceRangeLayout6>;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Who may use filtered frontends, per service port. The value is unused.</summary>
public sealed class SourceRangeMap : PrefixMap<SourceRangeKey, byte>
{
    private readonly Map4 _ipv4;
    private readonly Map6 _ipv6;

    internal SourceRangeMap(MapSource source, int capacity)
        : this(
            new Map4(source.Open<SourceRangeKey4, SourceRangeVerdict>("source_ranges4", capacity)),
            new Map6(source.Open<SourceRangeKey6, SourceRangeVerdict>("source_ranges6", capacity)))
    {
    }

    private SourceRangeMap(Map4 ipv4, Map6 ipv6)
        : base("source_ranges", ipv4, ipv6)
    {
        _ipv4 = ipv4;
        _ipv6 = ipv6;
    }

    /// <summary>True if a block of the service port contains the address: at most one lookup per prefix length in use.</summary>
    public bool IsAllowed(uint servicePortId, IpAddr source)
    {
        PrefixLengths lengths = LengthsFor(source);
        for (int i = 0; i < PrefixLengths.WordCount; i++)
        {
            ulong word = lengths.Word(i);
            while (word != 0)
            {
                int length = PrefixLengths.Take(ref word, i);
                if (TryLookup(new SourceRangeKey(servicePortId, new IpPrefix(source, Math.Min(length, source.BitLength))), out _))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public override bool TryLookup(in SourceRangeKey key, out byte entry) =>
        key.Sources.Address.IsIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    private protected override IpPrefix BlockOf(in SourceRangeKey key) => key.Sources;
}
