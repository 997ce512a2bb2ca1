using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class FlowFilesTests : IDisposable
{
    private const long Now = 1_000;
    private static readonly FlowCapacities Small = new() { Ipv4 = 128, Ipv6 = 64, Workers = 2 };

    private readonly string _directory = Directory.CreateTempSubdirectory("clb-flows-").FullName;

    [Fact]
    public void Whoever_reads_the_counters_again_and_again_leaves_no_memory_mapped()
    {
        using FlowTables flows = FlowTables.OpenForWriting(_directory, Small, _ => { });
        for (int i = 0; i < 300; i++)
        {
            PipelineCounters.Read(_directory);
        }

        Assert.InRange(File.ReadLines("/proc/self/maps").Count(line => line.Contains("counters", StringComparison.Ordinal)), 0, 100);
    }

    [Fact]
    public void The_next_process_knows_a_late_reply_of_a_backend_without_flows()
    {
        using var maps = new DictionaryLbMaps();
        maps.Backends.Update(7, new BackendEntry(IpAddr.Parse("10.244.1.5"), 5353, IpProtocol.Udp, BackendState.Active));
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Workers = 1 });
        var late = new FlowTuple(IpAddr.Parse("10.244.1.5"), IpAddr.Parse("10.244.0.9"), 5353, 41_000, IpProtocol.Udp);
        Assert.False(flows.LooksLikeReply(late));

        flows.RememberBackends(maps.Backends);

        Assert.True(flows.LooksLikeReply(late));
    }

    [Fact]
    public void A_dataplane_that_is_handed_the_files_adopts_their_flows()
    {
        using FlowTables agent = FlowTables.OpenForWriting(_directory, Small, Fail);
        using (FlowTables first = FlowTables.FromDescriptors(Descriptors(agent)))
        {
            first.TryCreate(FlowTuples.New(FlowTuples.Original(1)), Now, out _);
            first.TryCreate(FlowTuples.New(FlowTuples.Original(2, ipv6: true)), Now, out _);
        }

        using FlowTables second = FlowTables.FromDescriptors(Descriptors(agent));
        Assert.Equal(2, second.Count);
        Assert.True(second.TryLookup(FlowTuples.Original(1), Now, out FlowHit hit));
        Assert.True(second.LooksLikeReply(hit.Translated.Reverse));
        Assert.Equal(CreateResult.Created, second.TryCreate(FlowTuples.New(FlowTuples.Original(3)), Now, out _));
    }

    [Fact]
    public void Flows_are_read_from_outside_with_nobody_alive()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(1), 4), Now, out FlowHit hit);
            flows.Record(hit, FlowState.ReplySeen, Now + 30_000, 60);
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(2), 4), Now, out FlowHit gone);
            flows.Remove(gone);
        }

        FlowSnapshot flow = Assert.Single(FlowTables.Read(_directory, Now));
        Assert.Equal("TCP 10.244.0.1:41000 -> 10.96.0.10:80", flow.Original.ToString());
        Assert.Equal("TCP 10.1.0.4:8080 -> 10.244.0.1:41000", flow.Reply.ToString());
        Assert.Equal(("SYN_RECV", 30L, 1UL, 60UL), (flow.State, flow.RemainingSeconds, flow.ClientPackets, flow.ClientBytes));
    }

    [Fact]
    public void Nothing_there_reads_as_nothing()
    {
        Assert.Empty(FlowTables.Read(_directory, Now));
        Assert.Equal(0UL, PipelineCounters.Read(_directory).NewFlows);
    }

    [Theory]
    [InlineData(512, 100)]
    [InlineData(64, 64)]
    public void Another_capacity_copies_the_flows_that_fit(int capacity, int expected)
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            for (uint client = 0; client < 100; client++)
            {
                flows.TryCreate(FlowTuples.New(FlowTuples.Original(client)), Now, out _);
            }
        }

        var warnings = new List<string>();
        using FlowTables resized = FlowTables.OpenForWriting(_directory, Small with { Ipv4 = capacity }, warnings.Add);
        (int kept, int dropped) = resized.Adopt();

        Assert.Equal((expected, 0), (kept, dropped));
        Assert.Equal(expected < 100 ? 1 : 0, warnings.Count);
        Assert.All(resized.List(Now), flow => Assert.True(resized.TryLookup(flow.Reply, Now, out _)));
    }

    [Fact]
    public void A_file_that_is_none_of_ours_is_set_aside_and_said()
    {
        Directory.CreateDirectory(FlowDirectory.PathIn(_directory));
        File.WriteAllText(Path.Combine(FlowDirectory.PathIn(_directory), "conntrack4"), "not a table");

        var warnings = new List<string>();
        using FlowTables flows = FlowTables.OpenForWriting(_directory, Small, warnings.Add);

        Assert.Contains("conntrack4", Assert.Single(warnings));
        Assert.Equal(0, flows.Adopt().Kept);
    }

    [Fact]
    public void Tables_of_another_version_are_set_aside_whole_and_said_in_one_line()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(1)), Now, out _);
        }

        string folder = Path.Combine(_directory, "flows");
        foreach (string name in (string[])["conntrack4", "conntrack6", "affinity4"])
        {
            OtherVersion.SetLayout(Path.Combine(folder, name));
        }

        byte[] before = File.ReadAllBytes(Path.Combine(folder, "conntrack4"));
        var warnings = new List<string>();
        using FlowTables fresh = FlowTables.OpenForWriting(_directory, Small, warnings.Add);

        Assert.Equal(
            "Flow tables could not be used; they are set aside and what was in them is forgotten: "
            + "flows/conntrack4.bad-1, flows/conntrack6.bad-1, flows/affinity4.bad-1: its layout 9 is not known.", Assert.Single(warnings));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(folder, "conntrack4.bad-1")));
        Assert.Equal((0, 0), fresh.Adopt());
    }

    [Fact]
    public void Of_flows_that_do_not_fit_established_ones_are_kept()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            for (uint client = 0; client < 100; client++)
            {
                flows.TryCreate(FlowTuples.New(FlowTuples.Original(client)), Now, out FlowHit hit);
                if (client >= 50)
                {
                    flows.Record(hit, FlowState.Established, Now + 30_000, 60);
                }
            }
        }

        using FlowTables resized = FlowTables.OpenForWriting(_directory, Small with { Ipv4 = 64 }, _ => { });
        resized.Adopt();

        Assert.All(Enumerable.Range(50, 50), client => Assert.True(resized.TryLookup(FlowTuples.Original((uint)client), Now, out _)));
    }

    [Fact]
    public void Only_a_table_of_another_size_is_one()
    {
        Assert.Null(FlowTables.FindOtherSize(_directory, Small)); // nothing is there
        FlowTables.OpenForWriting(_directory, Small, Fail).Dispose();

        Assert.Null(FlowTables.FindOtherSize(_directory, Small));
        Assert.Null(FlowTables.FindOtherSize(_directory, Small with { Ipv4 = 100 })); // rounded up
        Assert.Contains("'conntrack4'", FlowTables.FindOtherSize(_directory, Small with { Ipv4 = Small.Ipv6, Ipv6 = Small.Ipv4 }), StringComparison.Ordinal);
        Assert.Contains("'affinity4'", FlowTables.FindOtherSize(_directory, Small with { Affinity = 99 }), StringComparison.Ordinal);
        Assert.Contains("'fragments'", FlowTables.FindOtherSize(_directory, Small with { Fragments = 64 }), StringComparison.Ordinal);

        File.WriteAllText(Path.Combine(_directory, "flows", "fragments"), "damaged");
        Assert.Null(FlowTables.FindOtherSize(_directory, Small));
    }

    [Fact]
    public void A_truncated_file_ends_the_reading_and_nothing_else()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(1)), Now, out _);
        }

        using (SafeFileHandle file = File.OpenHandle(Path.Combine(FlowDirectory.PathIn(_directory), "conntrack4"), access: FileAccess.ReadWrite))
        {
            RandomAccess.SetLength(file, RandomAccess.GetLength(file) - 4096);
        }

        Assert.ThrowsAny<Exception>(() => FlowTables.Read(_directory, Now).ToList());
    }

    [Fact]
    public void Counters_of_all_workers_are_read_as_one()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            for (int worker = 0; worker < 2; worker++)
            {
                var counters = new PipelineCounters(flows.Counters(worker));
                counters.CountVerdict(Verdict.Forward, isReply: false, 100 + worker);
                counters.CountReason(DropReason.ConntrackFull, isReply: false);
            }
        }

        PipelineCounters sum = PipelineCounters.Read(_directory);
        Assert.Equal((2UL, 201UL, 2UL), (sum.Packets(Verdict.Forward), sum.Bytes(Verdict.Forward), sum.Drops(DropReason.ConntrackFull)));
    }

    [Fact]
    public void How_full_the_tables_are_is_told_of_each_family()
    {
        Assert.Empty(FlowTables.ReadFill(_directory));
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            for (uint i = 1; i <= 3; i++)
            {
                Assert.Equal(CreateResult.Created, flows.TryCreate(FlowTuples.New(FlowTuples.Original(i)), Now, out _));
            }

            flows.Sweep(Now, 1); // then it is counted for people
        }

        IReadOnlyList<MapFill> fill = FlowTables.ReadFill(_directory);
        Assert.Equal(["conntrack4 3", "conntrack6 0", "affinity4 0", "affinity6 0", "fragments 0"], fill.Select(f => $"{f.Name} {f.Count}"));
        Assert.All(fill, f => Assert.True(f.Capacity > 0));
    }

    [Fact]
    public void Impossible_capacities_are_all_named()
    {
        Assert.Equal(4, new FlowCapacities { Ipv4 = 1, Ipv6 = int.MaxValue, Fragments = 0, Workers = 0 }.Problems().Count());
        Assert.Empty(new FlowCapacities().Problems());
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static Dictionary<string, SafeFileHandle> Descriptors(FlowTables flows) =>
        flows.OpenDescriptors().ToDictionary(d => d.Name, d => d.Handle);

    private static void Fail(string warning) => Assert.Fail(warning);
}
