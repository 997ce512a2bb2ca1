using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>Random histories of objects, against the obvious oracle: maps that were compiled from nothing.</summary>
public sealed class RandomHistoryTests
{
    private const string NodeName = "node-a";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Maps_follow_any_history_and_a_reader_finds_them_whole_at_every_write(int seed)
    {
        var cluster = new RandomCluster(seed);
        using var maps = new DictionaryLbMaps();
        var store = new ClusterStateStore(NodeName);
        store.SourceComplete();
        var loop = new ReconcileLoop(store, maps);
        maps.AfterWrite = () => AssertWhole(maps);

        for (int step = 0; step < 400; step++)
        {
            for (int change = cluster.Random.Next(1, 6); change > 0; change--)
            {
                cluster.Change(store);
            }

            if (cluster.Random.Next(20) == 0)
            {
                loop.Dispose();
                loop = new ReconcileLoop(cluster.Fill(new ClusterStateStore(NodeName)), maps); // a new agent finds the maps
                store = cluster.LastFilled!;
            }

            loop.SyncNow();

            Assert.Equal(0, loop.Status.IncompleteServices); // a reader that found them torn throws
            string want = DumpFromNothing(cluster);
            string got = MapDump.Of(maps);
            Assert.True(want == got, $"seed {seed}, step {step}: want\n{want}\ngot\n{got}");
        }

        loop.Dispose();
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public void Full_maps_never_show_half_a_frontend_and_mend_when_there_is_room(int seed)
    {
        var cluster = new RandomCluster(seed);
        using var maps = new DictionaryLbMaps(capacity: 14);
        var store = new ClusterStateStore(NodeName);
        store.SourceComplete();
        using var loop = new ReconcileLoop(store, maps);
        maps.AfterWrite = () => AssertWhole(maps);
        bool wasFull = false;

        for (int step = 0; step < 400; step++)
        {
            cluster.Change(store);
            loop.SyncNow();
            wasFull |= loop.Status.FullMaps.Length > 0;
            Assert.Equal(loop.Status.IncompleteServices > 0, loop.Status.FullMaps.Length > 0);
        }

        Assert.True(wasFull, $"seed {seed}: the maps were never full, so nothing was tested");

        cluster.Clear(store);
        loop.SyncNow();
        loop.ResyncNow();
        Assert.Equal(0, maps.Services.Count + maps.Backends.Count + maps.ReverseNat.Count + maps.Serving.Count
            + maps.ServicePorts.Count + maps.ServiceNames.Count);
        Assert.Empty(loop.Status.FullMaps);
    }

    [Theory]
    [InlineData(21)]
    [InlineData(22)]
    public void A_restart_keeps_ids_and_writes_nothing_if_nothing_changed(int seed)
    {
        var cluster = new RandomCluster(seed) { AddressesAreShared = false };
        using var maps = new DictionaryLbMaps();
        using (var loop = new ReconcileLoop(cluster.Fill(new ClusterStateStore(NodeName), changes: 200), maps))
        {
            loop.SyncNow();
        }

        var before = maps.Backends.Entries().ToDictionary();
        int writes = maps.Writes;
        using var next = new ReconcileLoop(cluster.Fill(new ClusterStateStore(NodeName)), maps);
        next.SyncNow();

        Assert.NotEmpty(before);
        Assert.Equal(writes, maps.Writes);
        Assert.Equal(before, maps.Backends.Entries().ToDictionary());

        next.ResyncNow();
        Assert.Equal(writes, maps.Writes);
    }

    [Fact]
    public void The_shared_maps_end_like_their_simple_twin()
    {
        const int Seed = 41;
        var cluster = new RandomCluster(Seed);
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        var store = new ClusterStateStore(NodeName);
        store.SourceComplete();
        using (var loop = new ReconcileLoop(store, maps))
        {
            for (int step = 0; step < 300; step++)
            {
                cluster.Change(store);
                loop.SyncNow();
                Assert.Empty(MapReader.Faults(maps));
            }
        }

        using var next = new ReconcileLoop(cluster.Fill(new ClusterStateStore(NodeName)), maps);
        next.SyncNow();
        string want = DumpFromNothing(cluster);
        string got = MapDump.Of(maps);
        Assert.True(want == got, $"seed {Seed}: want\n{want}\ngot\n{got}");
    }

    private static void AssertWhole(LbMaps maps)
    {
        string faults = string.Join('\n', MapReader.Faults(maps));
        Assert.True(faults.Length == 0, faults); // in full, unlike Assert.Empty
    }

    private static string DumpFromNothing(RandomCluster cluster)
    {
        using var maps = new DictionaryLbMaps();
        var store = new ClusterStateStore(NodeName);
        using var loop = new ReconcileLoop(cluster.Fill(store), maps);
        loop.SyncNow();
        return MapDump.Of(maps);
    }

    /// <summary>A small world, so that everything collides: addresses, ports, backends, names.</summary>
    private sealed class RandomCluster(int seed)
    {
        private readonly Dictionary<ObjectName, Service> _services = [];
        private readonly Dictionary<ObjectName, BackendSlice> _slices = [];
        private string _zone = "";

        public Random Random { get; } = new(seed);

        /// <summary>Several services may claim one ClusterIP.</summary>
        public bool AddressesAreShared { get; init; } = true;

        public ClusterStateStore? LastFilled { get; private set; }

        public ClusterStateStore Fill(ClusterStateStore store, int changes = 0)
        {
            LastFilled = store;
            for (int i = 0; i < changes; i++)
            {
                Change(store);
            }

            // Another order than the history's.
            foreach (Service service in _services.Values.OrderByDescending(s => s.Name))
            {
                store.Put(service);
            }

            foreach (BackendSlice slice in _slices.Values.OrderBy(s => s.Name))
            {
                store.Put(slice);
            }

            store.Put(Node());
            store.SetNetwork(new NetworkInputs());
            store.SourceComplete();
            return store;
        }

        public void Change(ClusterStateStore store)
        {
            store.SetNetwork(new NetworkInputs());
            var service = new ObjectName("test", $"s{Random.Next(5)}");
            var slice = new ObjectName("test", $"{service.Name}-{Random.Next(3)}");
            switch (Random.Next(10))
            {
                case 0:
                    _services.Remove(service);
                    store.RemoveService(service);
                    break;
                case 1:
                    _slices.Remove(slice);
                    store.RemoveSlice(slice);
                    break;
                case 2:
                    _zone = Pick("", "east", "west");
                    store.Put(Node());
                    break;
                case 3 or 4 or 5:
                    store.Put(_services[service] = RandomService(service));
                    break;
                default:
                    store.Put(_slices[slice] = RandomSlice(slice, service));
                    break;
            }
        }

        public void Clear(ClusterStateStore store)
        {
            foreach (ObjectName name in _services.Keys)
            {
                store.RemoveService(name);
            }

            foreach (ObjectName name in _slices.Keys)
            {
                store.RemoveSlice(name);
            }
        }

        private LocalNode Node() => new() { Name = NodeName, Zone = _zone };

        private Service RandomService(ObjectName name)
        {
            int host = AddressesAreShared ? Random.Next(1, 4) : name.Name[1] - '0' + 1;
            IpAddr v4 = IpAddr.Parse($"10.96.0.{host}");
            IpAddr v6 = IpAddr.Parse($"fd00:96::{host}");
            ServicePort[] ports =
            [
                new("http", IpProtocol.Tcp, 80),
                new("alt", IpProtocol.Tcp, (ushort)Random.Next(80, 82)),
                new("dns", IpProtocol.Udp, 53),
            ];
            int first = Random.Next(3);
            return new Service
            {
                Name = name,
                CreatedAt = DateTimeOffset.UnixEpoch.AddSeconds(Random.Next(3)),
                ClusterIps = Random.Next(3) switch { 0 => [v4], 1 => [v6], _ => [v4, v6] },
                Ports = [.. ports.Skip(first).Take(Random.Next(1, 4)).DistinctBy(p => (p.Port, p.Protocol))],
                InternalTrafficPolicy = Random.Next(4) == 0 ? TrafficPolicy.Local : TrafficPolicy.Cluster,
                AffinitySeconds = Random.Next(4) == 0 ? 60 : 0,
                Algorithm = (SelectionAlgorithm)Random.Next(9),
                Split = Random.Next(3) == 0 ? new TrafficSplit(name with { Name = $"s{Random.Next(5)}" }, 10) : null,
            };
        }

        private BackendSlice RandomSlice(ObjectName name, ObjectName service)
        {
            bool isIpv4 = Random.Next(2) == 0;
            int count = Random.Next(6);
            return new BackendSlice
            {
                Name = name,
                Service = service,
                IsIpv4 = isIpv4,
                Ports = [new("http", IpProtocol.Tcp, (ushort)Random.Next(8080, 8082)), new("alt", IpProtocol.Tcp, 8080), new("dns", IpProtocol.Udp, 53)],
                Backends = [.. Enumerable.Range(0, count).Select(_ => new Backend(
                    IpAddr.Parse($"{(isIpv4 ? "10.244.0." : "fd00:244::")}{Random.Next(1, 9)}"),
                    (BackendConditions)(Random.Next(3) == 0 ? Random.Next(8) : 3),
                    Pick("", NodeName, "node-b"),
                    Random.Next(4) == 0 ? null : new TopologyHints([], [Pick("east", "west")])))],
            };
        }

        private string Pick(params string[] choices) => choices[Random.Next(choices.Length)];
    }
}
