using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Simulation;

/// <summary>Any maps as their one writer has them: somebody may look in after each write. Readers go past it.</summary>
internal sealed class WatchedLbMaps : LbMaps
{
    private readonly LbMaps _maps;

    public WatchedLbMaps(LbMaps maps)
    {
        _maps = maps;
        Services = Watched(maps.Services);
        Backends = Watched(maps.Backends);
        ReverseNat = Watched(maps.ReverseNat);
        Serving = Watched(maps.Serving);
        Eligible = Watched(maps.Eligible);
        Maglev = new WatchedMaglevMap(maps.Maglev, OnWrite);
        ServicePorts = Watched(maps.ServicePorts);
        ServiceNames = Watched(maps.ServiceNames);
        SourceRanges = Watched(maps.SourceRanges);
        Networks = Watched(maps.Networks);
        Node = Watched(maps.Node);
    }

    /// <summary>Called after every write that changed something: what a reader may find at that moment.</summary>
    public Action? AfterWrite { get; set; }

    public override ILbMap<ServiceKey, ServiceEntry> Services { get; }

    public override ILbMap<uint, BackendEntry> Backends { get; }

    public override ILbMap<uint, ReverseNatEntry> ReverseNat { get; }

    public override ILbMap<ServingKey, byte> Serving { get; }

    public override ILbMap<EligibleKey, byte> Eligible { get; }

    public override IMaglevMap Maglev { get; }

    public override ILbMap<uint, ServicePortEntry> ServicePorts { get; }

    public override ILbMap<uint, string> ServiceNames { get; }

    public override ILbMap<SourceRangeKey, byte> SourceRanges { get; }

    public override ILbMap<IpPrefix, NetworkFlags> Networks { get; }

    public override ILbMap<uint, NodeEntry> Node { get; }

    public override ulong Departures => _maps.Departures;

    public override void CountDeparture() => _maps.CountDeparture();

    public override NetworkFlags Classify(IpAddr address) => _maps.Classify(address);

    public override bool IsSourceAllowed(uint servicePortId, IpAddr source) => _maps.IsSourceAllowed(servicePortId, source);

    /// <summary>The maps themselves are their owner's.</summary>
    public override void Dispose()
    {
    }

    private WatchedMap<TKey, TEntry> Watched<TKey, TEntry>(ILbMap<TKey, TEntry> map)
        where TKey : notnull => new(map, OnWrite);

    private MapResult OnWrite(MapResult result)
    {
        if (result == MapResult.Ok)
        {
            AfterWrite?.Invoke();
        }

        return result;
    }
}
