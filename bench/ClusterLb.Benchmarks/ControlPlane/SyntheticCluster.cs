using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Benchmarks.ControlPlane;

/// <summary>Services of one port with a number of ready backends each.</summary>
internal static class SyntheticCluster
{
    /// <summary>Room for half a million backends.</summary>
    public static LbMapCapacities Capacities => new()
    {
        Services = 1 << 20,
        Backends = 1 << 20,
        Frontends = 1 << 18,
        Serving = 1 << 20,
        ServicePorts = 1 << 18,
        ServiceNames = 1 << 18,
    };

    /// <summary>Real maps, in memory.</summary>
    public static SharedLbMaps Maps() => SharedLbMaps.CreateInMemory(Capacities);

    public static string ClusterIpOf(int service) => $"10.{service >> 16}.{(service >> 8) & 255}.{service & 255}";

    public static void Fill(ClusterStateStore store, int services, int backends)
    {
        store.SetNetwork(new NetworkInputs());
        for (int i = 0; i < services; i++)
        {
            store.Put(Service($"s{i}", ClusterIpOf(i), "http:80/TCP"));
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
