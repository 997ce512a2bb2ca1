namespace ClusterLb.Dataplane.Maps;

/// <summary>What all maps of <see cref="SharedLbMaps"/> have in common, whatever their types.</summary>
internal interface ISharedMap : IDisposable
{
    IEnumerable<MapFile> Files { get; }

    void Reclaim();
}
