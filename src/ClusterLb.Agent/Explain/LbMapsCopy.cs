using System.Numerics;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Explain;

/// <summary>Copies maps, so that what is explained does not change under the explanation.</summary>
public static class LbMapsCopy
{
    /// <summary>All entries, in memory, with room for no more than they need.</summary>
    /// <exception cref="InvalidOperationException">The maps grew too fast to be copied.</exception>
    public static LbMaps Of(LbMaps from)
    {
        var copy = SharedLbMaps.CreateInMemory(new LbMapCapacities
        {
            Services = RoomFor(from.Services),
            Backends = RoomFor(from.Backends),
            Frontends = RoomFor(from.ReverseNat),
            Serving = RoomFor(from.Serving),
            Eligible = RoomFor(from.Eligible),
            ServicePorts = RoomFor(from.ServicePorts),
            ServiceNames = RoomFor(from.ServiceNames),
            Networks = RoomFor(from.Networks),
            SourceRanges = RoomFor(from.SourceRanges),
            MaglevTables = Math.Max(LbMapCapacities.Least, from.Maglev.Count * 2),
            MaglevTableSize = from.Maglev.TableSize,
        });
        Copy(from.Services, copy.Services);
        Copy(from.Backends, copy.Backends);
        Copy(from.ReverseNat, copy.ReverseNat);
        Copy(from.Serving, copy.Serving);
        Copy(from.Eligible, copy.Eligible);
        Copy(from.ServicePorts, copy.ServicePorts);
        Copy(from.ServiceNames, copy.ServiceNames);
        Copy(from.Networks, copy.Networks);
        Copy(from.SourceRanges, copy.SourceRanges);
        Copy(from.Node, copy.Node);
        CopyMaglev(from.Maglev, copy.Maglev);
        return copy;
    }

    /// <summary>Half as much again, since the original goes on changing while it is read.</summary>
    private static int RoomFor<TKey, TEntry>(ILbMap<TKey, TEntry> map)
        where TKey : notnull => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(1024, map.Count * 3 / 2));

    private static void CopyMaglev(IMaglevMap from, IMaglevMap to)
    {
        to.Seed = from.Seed;
        var table = new uint[from.TableSize];
        foreach (MaglevKey key in from.Keys())
        {
            if (from.TryRead(key, table) && to.Update(key, table) == MapResult.Full)
            {
                throw new InvalidOperationException($"The map {from.Name} grew while it was copied; try again.");
            }
        }
    }

    private static void Copy<TKey, TEntry>(ILbMap<TKey, TEntry> from, ILbMap<TKey, TEntry> to)
        where TKey : notnull
    {
        foreach (KeyValuePair<TKey, TEntry> pair in from.Entries())
        {
            if (to.Update(pair.Key, pair.Value) == MapResult.Full)
            {
                throw new InvalidOperationException($"The map {from.Name} grew while it was copied; try again.");
            }
        }
    }
}
