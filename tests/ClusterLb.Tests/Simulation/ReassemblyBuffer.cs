using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Simulation;

/// <summary>What hosts keep of packets in parts, until all parts are there. They may come in any order, and twice.</summary>
internal sealed class ReassemblyBuffer
{
    private readonly Dictionary<(IpAddr Source, IpAddr Destination, uint Id), SortedDictionary<int, byte[]>> _parts = [];

    /// <summary>Packets that were put together.</summary>
    public int Completed { get; private set; }

    /// <summary>All of them have waited for too long.</summary>
    public void Clear() => _parts.Clear();

    /// <summary>Another part.</summary>
    /// <returns>The whole packet; null as long as parts are missing.</returns>
    public byte[]? Add(byte[] part)
    {
        _ = PacketParser.Parse(part, out FlowTuple tuple, out HeaderOffsets at);
        (IpAddr, IpAddr, uint) key = (tuple.Source, tuple.Destination, at.FragmentId);
        if (!_parts.TryGetValue(key, out SortedDictionary<int, byte[]>? parts))
        {
            _parts.Add(key, parts = []);
        }

        parts[at.FragmentOffset] = part;
        int next = 0;
        bool isLast = false;
        foreach (byte[] known in parts.Values)
        {
            _ = PacketParser.Parse(known, out _, out HeaderOffsets of);
            if (of.FragmentOffset != next)
            {
                return null;
            }

            next += of.TotalLength - of.TransportOffset;
            isLast = !of.MoreFragments;
        }

        if (!isLast)
        {
            return null;
        }

        _parts.Remove(key);
        Completed++;
        return Reassembly.Of([.. parts.Values]);
    }
}
