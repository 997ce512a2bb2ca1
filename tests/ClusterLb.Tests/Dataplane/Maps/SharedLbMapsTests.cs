using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>All maps together: writer, outside reader, dataplane, next writer.</summary>
public sealed class SharedLbMapsTests : IDisposable
{
    private static readonly ServiceKey Key = new(IpAddr.Parse("10.96.0.1"), 80, IpProtocol.Tcp, LookupScope.External, 0);
    private static readonly ServiceKey Key6 = Key with { Address = IpAddr.Parse("fd00::1") };

    private readonly MapStage _stage = new();
    private readonly List<string> _warnings = [];

    public void Dispose() => _stage.Dispose();

    [Fact]
    public void What_the_writer_wrote_is_read_from_outside_and_by_the_dataplane_and_adopted_by_the_next_writer()
    {
        using (SharedLbMaps writer = Open(LbMapCapacities.Small))
        {
            Assert.All(writer.AdoptionReport, report => Assert.Equal(MapFileOutcome.Created, report.Outcome));
            Fill(writer);
            using SharedLbMaps outside = SharedLbMaps.OpenForReading(_stage.Directory);
            AssertFilled(outside);
            using SharedLbMaps dataplane = Dataplane(writer);
            AssertFilled(dataplane);

            writer.Services.Delete(Key);
            Assert.False(outside.Services.TryLookup(Key, out _));
            Assert.False(dataplane.Services.TryLookup(Key, out _));
            Fill(writer);
        }

        using SharedLbMaps next = Open(LbMapCapacities.Small);
        Assert.All(next.AdoptionReport, report => Assert.Equal(MapFileOutcome.Adopted, report.Outcome));
        AssertFilled(next);
        Assert.Equal(NetworkFlags.None, next.Classify(IpAddr.Parse("10.97.0.1")));
        Assert.Empty(_warnings);
    }

    [Fact]
    public void Nobody_else_may_look_at_the_flows()
    {
        using SharedLbMaps writer = Open(LbMapCapacities.Small);
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(FlowDirectory.PathIn(_stage.Directory)));
    }

    [Fact]
    public void Readers_cannot_write()
    {
        using SharedLbMaps writer = Open(LbMapCapacities.Small);
        using SharedLbMaps outside = SharedLbMaps.OpenForReading(_stage.Directory);
        using SharedLbMaps dataplane = Dataplane(writer);
        Assert.Throws<InvalidOperationException>(() => outside.Services.Update(Key, default));
        Assert.Throws<InvalidOperationException>(() => dataplane.Services.Update(Key, default));
    }

    [Fact]
    public void Other_capacities_keep_the_entries_and_retire_the_old_files()
    {
        using SharedLbMaps writer = Open(LbMapCapacities.Small);
        Fill(writer);
        using SharedLbMaps outside = SharedLbMaps.OpenForReading(_stage.Directory);
        using SharedLbMaps next = Open(LbMapCapacities.Small with { Services = 100_000 });

        AssertFilled(next);
        Assert.Equal(100_000, next.Services.Capacity);
        Assert.Equal(["services4", "services6"], next.AdoptionReport.Where(report => report.IsNewFile).Select(report => report.Name));
        Assert.True(outside.IsRetired);
        Assert.False(next.IsRetired);
    }

    [Fact]
    public void One_unusable_file_costs_only_its_own_entries_and_is_said_once()
    {
        using (SharedLbMaps writer = Open(LbMapCapacities.Small))
        {
            Fill(writer);
        }

        File.WriteAllText(Path.Combine(_stage.Directory, "maps", "backends4"), "not a map");
        using SharedLbMaps next = Open(LbMapCapacities.Small);
        Assert.Equal(
            "Maps could not be used; they are set aside and written anew: maps/backends4.bad-1: it has 9 bytes, less than a header.", Assert.Single(_warnings));
        Assert.False(next.Backends.TryLookup(7, out _));
        Assert.True(next.Services.TryLookup(Key, out _));
    }

    [Fact]
    public void A_full_map_says_so_and_changes_nothing()
    {
        using SharedLbMaps maps = Open(LbMapCapacities.Small with { Services = 16 });
        for (uint slot = 0; slot < 16; slot++)
        {
            Assert.Equal(MapResult.Ok, maps.Services.Update(Key with { Slot = slot }, default));
        }

        Assert.Equal(MapResult.Full, maps.Services.Update(Key with { Slot = 16 }, default));
        Assert.False(maps.Services.TryLookup(Key with { Slot = 16 }, out _));
        Assert.Equal(MapResult.Ok, maps.Services.Update(Key with { Slot = 3 }, new ServiceEntry { BackendId = 1 }));
        Assert.Equal(MapResult.Ok, maps.Services.Delete(Key with { Slot = 4 }));
        Assert.Equal(MapResult.Ok, maps.Services.Update(Key with { Slot = 16 }, default));
        Assert.Equal(16, maps.Services.Entries().Count());
        Assert.Equal(MapResult.Ok, maps.Services.Update(Key6, default)); // the other family has its own file
    }

    [Fact]
    public void Numbers_are_never_handed_out_twice()
    {
        ulong last;
        using (SharedLbMaps writer = Open(LbMapCapacities.Small))
        {
            Assert.Equal(1UL, writer.Backends.TakeNumber());
            last = writer.Backends.TakeNumber();
        }

        using SharedLbMaps next = Open(LbMapCapacities.Small with { Backends = 10_000 });
        Assert.Equal(last + 1, next.Backends.TakeNumber());
    }

    [Fact]
    public void Every_impossible_capacity_is_named() =>
        Assert.Equal(2, new LbMapCapacities { Services = 1, Networks = int.MaxValue }.Problems().Count());

    private static void Fill(SharedLbMaps maps)
    {
        maps.Services.Update(Key, new ServiceEntry { Count = 1, RevNatId = 3 });
        maps.Services.Update(Key6, new ServiceEntry { Count = 2, RevNatId = 4 });
        maps.Backends.Update(7, new BackendEntry(IpAddr.Parse("10.244.0.1"), 8080, IpProtocol.Tcp, BackendState.Active));
        maps.Backends.Update(8, new BackendEntry(IpAddr.Parse("fd01::1"), 8080, IpProtocol.Tcp, BackendState.Active));
        maps.Networks.Update(IpPrefix.Parse("10.96.0.0/16"), NetworkFlags.ServiceRange);
        maps.Node.Update(0, NodeEntry.Default);
    }

    private static void AssertFilled(SharedLbMaps maps)
    {
        Assert.True(maps.Services.TryLookup(Key, out ServiceEntry service) && service.RevNatId == 3);
        Assert.True(maps.Services.TryLookup(Key6, out service) && service.RevNatId == 4);
        Assert.True(maps.Backends.TryLookup(7, out BackendEntry backend) && backend.Address == IpAddr.Parse("10.244.0.1"));
        Assert.True(maps.Backends.TryLookup(8, out backend) && backend.Address == IpAddr.Parse("fd01::1"));
        Assert.True(maps.Backends.TryLookup(8, isIpv4: false, out _) && !maps.Backends.TryLookup(8, isIpv4: true, out _));
        Assert.Equal(NetworkFlags.ServiceRange, maps.Classify(IpAddr.Parse("10.96.7.7")));
        Assert.True(maps.Node.TryLookup(0, out NodeEntry node) && node == NodeEntry.Default);
        Assert.Equal(2, maps.Services.Count);
    }

    private static SharedLbMaps Dataplane(SharedLbMaps writer) => SharedLbMaps.FromDescriptors(
        writer.OpenDescriptors(readOnly: true).ToDictionary(file => file.Name, file => file.Handle));

    private SharedLbMaps Open(LbMapCapacities capacities) =>
        SharedLbMaps.OpenForWriting(_stage.Directory, capacities, _warnings.Add);
}
