using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Benchmarks.ControlPlane;

/// <summary>Services of one port with a number of ready backends each.</summary>
internal static class SyntheticCluster
{
    /// <summary>Real maps, in memory, with room for half a million backends.</summary>
    public static SharedLbMaps Maps() => SharedLbMaps.CreateInMemory(new LbMapCapacities
    {
        Services = 1 << 20,
        Backends = 1 << 20,
        Frontends = 1 << 18,
        Serving = 1 << 20,
        ServicePorts = 1 << 18,
        ServiceNames = 1 << 18,
    });

    public static void Fill(ClusterStateStore store, int services, int backends)
    {
        store.SetNetwork(new NetworkInputs());
        for (int i = 0; i < services; i++)
        {
            store.Put(Service($"s{i}", $"10.{i >> 16}.{(i >> 8) & 255}.{i & 255}", "http:80/TCP"));
            store.Put(SliceOf(i, backends));
        }

        store.SourceComplete();
    }

    /// <summary>Addresses from 11.0.0.0 upwards: 64 for each service.</summary>
    public static BackendSlice SliceOf(int service, int backends) =>
        Slice($"s{service}", "1", "http:8080/TCP", [.. Enumerable.Range(0, backends)
            .Select(n => (service * 64) + n)
            .Select(n => Ready($"{11 + (n >> 24)}.{(n >> 16) & 255}.{(n >> 8) & 255}.{n & 255}"))]);
}
