using System.Buffers;
using System.Text;
using System.Text.Json;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane;

/// <summary>Takes a made-up service the whole way that changes of the API server take, into maps in memory that nobody reads.</summary>
/// <remarks>
/// The runtime compiles code when it first runs: without a rehearsal the first change after a start takes 5 to 10 ms instead of
/// half of one. What is rehearsed: a line of a watch, its objects, the compiler, and an entry of every map written, replaced and deleted.
/// </remarks>
public static class Rehearsal
{
    private const string Name = "rehearsal";

    /// <summary>Takes some 100 ms of a processor in a process that has done nothing yet. Any thread; shares nothing.</summary>
    /// <returns>Map entries written and deleted.</returns>
    public static long Run()
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        var store = new ClusterStateStore(Name);
        using var loop = new ReconcileLoop(store, maps, trace: new SyncTrace(maps.Awaited));
        var services = new StoreTarget(store, ApiResource.Services);
        var slices = new StoreTarget(store, ApiResource.Slices);
        store.SetNetwork(new NetworkInputs());
        store.SourceComplete();
        loop.SyncNow();

        Happens(services, "ADDED", Service);
        Happens(slices, "ADDED", Slice("IPv4", "192.0.2.1"));
        Happens(slices, "ADDED", Slice("IPv6", "2001:db8::1"));
        Happens(slices, "MODIFIED", Slice("IPv4", "192.0.2.2"));
        Happens(slices, "MODIFIED", Slice("IPv6", "2001:db8::2"));
        loop.ResyncNow();
        Happens(slices, "DELETED", Slice("IPv4", "192.0.2.2"));
        Happens(services, "DELETED", Service);
        return loop.Operations.Sum(map => map.Updates + map.Deletes);

        void Happens(StoreTarget target, string type, string item)
        {
            var buffer = new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes($$"""{"type":"{{type}}","object":{{item.ReplaceLineEndings(" ")}}}""" + "\n"));
            JsonLine.TryTake(ref buffer, out ReadOnlySequence<byte> line);
            using JsonDocument document = JsonLine.Parse(line, out WatchEvent what, out JsonElement found);
            if (what == WatchEvent.Put)
            {
                target.Put(found, TimeProvider.System.GetTimestamp());
            }
            else
            {
                target.Remove(found, TimeProvider.System.GetTimestamp());
            }

            loop.SyncNow();
        }
    }

    private const string Service = $$$"""
        {"metadata":{"name":"{{{Name}}}","namespace":"{{{Name}}}"},
         "spec":{"type":"NodePort","clusterIP":"192.0.2.10","clusterIPs":["192.0.2.10","2001:db8::10"],"ipFamilies":["IPv4","IPv6"],
                 "ports":[{"name":"http","protocol":"TCP","port":80,"nodePort":30000}]}}
        """;

    private static string Slice(string family, string address) => $$$"""
        {"metadata":{"name":"{{{Name}}}-{{{family}}}","namespace":"{{{Name}}}","labels":{"kubernetes.io/service-name":"{{{Name}}}"}},
         "addressType":"{{{family}}}","ports":[{"name":"http","protocol":"TCP","port":8080}],
         "endpoints":[{"addresses":["{{{address}}}"],"conditions":{"ready":true},"nodeName":"{{{Name}}}"}]}
        """;
}
