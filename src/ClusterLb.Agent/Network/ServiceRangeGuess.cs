using System.Collections.Immutable;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>Where service addresses may come from, judged by those that were seen, for clusters that do not configure serviceCIDRs.</summary>
/// <remarks>
/// Cluster IPs that share 12 bits (IPv4) or 108 (IPv6), which are the usual sizes, make one block: the smallest that covers
/// them. A block that would swallow an address of this node or a pod range falls apart into single addresses. Blocks only grow,
/// so routes do not flap as services come and go. Not thread-safe.
/// </remarks>
internal sealed class ServiceRangeGuess
{
    private const int Ipv4GroupLength = 12;
    private const int Ipv6GroupLength = 108;

    private readonly Dictionary<IpPrefix, (IpAddr First, IpAddr Last)> _groups = [];
    private readonly HashSet<IpAddr> _seen = [];

    /// <summary>Takes note of an address.</summary>
    public void Add(IpAddr clusterIp)
    {
        if (!_seen.Add(clusterIp))
        {
            return;
        }

        var group = new IpPrefix(clusterIp, clusterIp.IsIpv4 ? Ipv4GroupLength : Ipv6GroupLength);
        _groups[group] = _groups.TryGetValue(group, out (IpAddr First, IpAddr Last) ends)
            ? (ends.First < clusterIp ? ends.First : clusterIp, ends.Last > clusterIp ? ends.Last : clusterIp)
            : (clusterIp, clusterIp);
    }

    /// <summary>The blocks, none of which touches what is known to be something else.</summary>
    public ImmutableArray<IpPrefix> Ranges(IEnumerable<IpAddr> nodeAddresses, IEnumerable<IpPrefix> podRanges)
    {
        IpPrefix[] others = [.. nodeAddresses.Select(IpPrefix.Host), .. podRanges];
        var ranges = new List<IpPrefix>();
        foreach ((IpPrefix group, (IpAddr first, IpAddr last)) in _groups)
        {
            IpPrefix cover = Cover(first, last);
            if (others.Any(other => cover.Contains(other.Address) || other.Contains(cover.Address)))
            {
                ranges.AddRange(_seen.Where(group.Contains).Select(IpPrefix.Host));
            }
            else
            {
                ranges.Add(cover);
            }
        }

        return [.. ranges.Order()];
    }

    private static IpPrefix Cover(IpAddr first, IpAddr last)
    {
        int length = first.BitLength;
        while (!new IpPrefix(first, length).Contains(last))
        {
            length--;
        }

        return new IpPrefix(first, length);
    }
}
