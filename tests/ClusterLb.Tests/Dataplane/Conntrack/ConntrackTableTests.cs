using System.Runtime.CompilerServices;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class ConntrackTableTests
{
    private const long Now = 1_000;

    [Theory]
    [InlineData(IpProtocol.Tcp, false)]
    [InlineData(IpProtocol.Udp, false)]
    [InlineData(IpProtocol.Tcp, true)]
    [InlineData(IpProtocol.Sctp, true)]
    public void A_flow_is_found_by_both_tuples_and_by_no_other(IpProtocol protocol, bool ipv6)
    {
        using FlowTables flows = Tables();
        NewFlow flow = FlowTuples.New(FlowTuples.Original(9, protocol: protocol, ipv6: ipv6));
        Assert.Equal(CreateResult.Created, flows.TryCreate(flow, Now, out FlowHit created));
        Assert.True(created.IsNew);

        Assert.True(flows.TryLookup(flow.Original, Now, out FlowHit forward));
        Assert.Equal((flow.Reply.Reverse, false), (forward.Translated, forward.IsReply));
        Assert.Equal((1u, 7u, 9u, 11UL, (ushort)3), (forward.BackendId, forward.RevNatId, forward.ServicePortId, forward.Revision, forward.Queue));
        Assert.True(flows.TryLookup(flow.Reply, Now, out FlowHit reply));
        Assert.Equal((flow.Original.Reverse, true), (reply.Translated, reply.IsReply));

        Assert.False(flows.TryLookup(flow.Original.Reverse, Now, out _));
        Assert.False(flows.TryLookup(flow.Reply.Reverse, Now, out _));
        Assert.False(flows.TryLookup(flow.Original with { SourcePort = 41001 }, Now, out _));
        Assert.False(flows.TryLookup(flow.Original with { Protocol = IpProtocol.Any }, Now, out _));
    }

    [Fact]
    public void The_same_original_tuple_exists_and_the_same_reply_tuple_is_taken()
    {
        using FlowTables flows = Tables();
        NewFlow flow = FlowTuples.New(FlowTuples.Original(9));
        flows.TryCreate(flow, Now, out _);

        Assert.Equal(CreateResult.Exists, flows.TryCreate(flow with { Reply = flow.Reply with { SourcePort = 1 } }, Now, out _));
        FlowTuple otherFrontend = flow.Original with { DestinationPort = 81 };
        Assert.Equal(CreateResult.ReplyTaken, flows.TryCreate(flow with { Original = otherFrontend }, Now, out _));
        Assert.Equal(CreateResult.ReplyTaken, flows.TryCreate(flow with { Original = otherFrontend, Reply = otherFrontend }, Now, out _));
        Assert.Equal(1, flows.Count);
    }

    [Fact]
    public void Expired_flows_give_their_tuples_back()
    {
        using FlowTables flows = Tables();
        NewFlow flow = FlowTuples.New(FlowTuples.Original(9), expiresMs: Now + 10);
        flows.TryCreate(flow, Now, out _);

        Assert.False(flows.TryLookup(flow.Original, Now + 10, out _));
        NewFlow next = flow with { Original = flow.Original with { DestinationPort = 81 }, ExpiresMs = Now + 99 };
        Assert.Equal(CreateResult.Created, flows.TryCreate(next, Now + 10, out _));
        Assert.Equal(1, flows.Count);
    }

    [Fact]
    public void A_late_worker_cannot_change_the_state_of_the_places_next_flow()
    {
        using FlowTables flows = Tables();
        NewFlow first = FlowTuples.New(FlowTuples.Original(1));
        flows.TryCreate(first, Now, out FlowHit late);
        flows.Remove(late);
        NewFlow second = FlowTuples.New(FlowTuples.Original(2));
        flows.TryCreate(second, Now, out FlowHit fresh);
        Assert.Equal(late.Place, fresh.Place);

        flows.Record(late, FlowState.Reset, Now + 1, 100);
        flows.Record(late, late.State, Now + 86_400_000, 100);
        flows.SetRevision(late, 999);

        Assert.False(flows.Remove(late));
        FlowSnapshot flow = Assert.Single(flows.List(Now));
        Assert.Equal(("SYN_SENT", 0UL, 11UL), (flow.State, flow.ClientPackets, flow.Revision));
        Assert.False(flows.TryLookup(second.Original, second.ExpiresMs, out _), "lives as long as the flow before it would have");
    }

    [Theory]
    [InlineData(65_536, false)]
    [InlineData(65_536, true)]
    public void A_table_takes_as_many_flows_as_it_says_and_finds_them_all(int capacity, bool ipv6)
    {
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = ipv6 ? 64 : capacity, Ipv6 = ipv6 ? capacity : 64 });
        for (uint client = 0; client < capacity; client++)
        {
            CreateResult result = flows.TryCreate(FlowTuples.New(FlowTuples.Original(client, ipv6: ipv6), client % 5), Now, out FlowHit hit);
            Assert.True(result == CreateResult.Created, $"flow {client}: {result}");
            flows.Record(hit, FlowState.ReplySeen | FlowState.Established, 60_000, 1);
        }

        Assert.Equal(CreateResult.Full, flows.TryCreate(FlowTuples.New(FlowTuples.Original((uint)capacity, ipv6: ipv6)), Now, out _));
        for (uint client = 0; client < capacity; client++)
        {
            NewFlow flow = FlowTuples.New(FlowTuples.Original(client, ipv6: ipv6), client % 5);
            Assert.True(flows.TryLookup(flow.Original, Now, out FlowHit a) && flows.TryLookup(flow.Reply, Now, out FlowHit b) && a.Place == b.Place);
        }

        Assert.Equal(capacity, flows.Flush(FlowFilter.All, Now));
        Assert.Equal(0, flows.Count);
    }

    [Fact]
    public void Sweeping_removes_what_has_expired_and_nothing_else_in_bounded_slices()
    {
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 1024, Ipv6 = 64 });
        for (uint client = 0; client < 1000; client++)
        {
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(client), expiresMs: client % 2 == 0 ? Now + 1 : Now + 1_000_000), Now, out _);
        }

        Assert.Equal(0, flows.Sweep(Now, 2000));
        Assert.InRange(flows.Sweep(Now + 1, 100), 1, 100);
        Assert.Equal(0, flows.Sweep(Now + 1, 100)); // once per millisecond
        long now = Now + 1;
        while (flows.Count > 500)
        {
            flows.Sweep(++now, 100);
            Assert.True(now < Now + 50, "ten slices of a hundred see a thousand places");
        }

        Assert.All(flows.List(now), flow => Assert.True(flow.RemainingSeconds > 0));
    }

    [Fact]
    public void Flushing_by_filter_removes_what_matches()
    {
        using FlowTables flows = Tables();
        for (uint client = 1; client <= 10; client++)
        {
            flows.TryCreate(FlowTuples.New(FlowTuples.Original(client, protocol: client % 2 == 0 ? IpProtocol.Udp : IpProtocol.Tcp), client % 3), Now, out _);
        }

        Assert.Equal(5, flows.Flush(new FlowFilter { Protocol = IpProtocol.Udp }, Now));
        Assert.Equal(2, flows.Flush(new FlowFilter { BackendId = 1 }, Now));
        Assert.Equal(1, flows.Flush(new FlowFilter { Client = IpPrefix.Parse("10.244.0.5/32"), FrontendPort = 80 }, Now));
        Assert.Equal(0, flows.Flush(new FlowFilter { Frontend = IpPrefix.Parse("10.97.0.0/16") }, Now));
        Assert.Equal(2, flows.Count);
    }

    [Fact]
    public void Layouts_are_what_the_documents_say()
    {
        Assert.Equal(12, Unsafe.SizeOf<FlowKey4>());
        Assert.Equal(36, Unsafe.SizeOf<FlowKey6>());
        Assert.Equal(96, Unsafe.SizeOf<FlowPlace<FlowKey4>>());
        Assert.Equal(144, Unsafe.SizeOf<FlowPlace<FlowKey6>>());
        Assert.Equal(128, BytesPerFlow<FlowKey4>());
        Assert.Equal(176, BytesPerFlow<FlowKey6>());

        var place = new FlowPlace<FlowKey4>
        {
            Life = 0x0102030405060708,
            ExpiresMs = 0x1112131415161718,
            Revision = 0x2122232425262728,
            ClientPackets = 0x31,
            ClientBytes = 0x32,
            BackendPackets = 0x33,
            BackendBytes = 0x34,
            BackendId = 0x41,
            RevNatId = 0x42,
            ServicePortId = 0x43,
            Queue = 0x5152,
            Protocol = IpProtocol.Tcp,
            Flags = FlowFlags.Hairpin,
            Original = FlowKey4.From(new FlowTuple(IpAddr.Parse("1.2.3.4"), IpAddr.Parse("5.6.7.8"), 0x0A0B, 0x0C0D, IpProtocol.Tcp)),
            Reply = FlowKey4.From(new FlowTuple(IpAddr.Parse("9.9.9.9"), IpAddr.Parse("1.2.3.4"), 1, 2, IpProtocol.Tcp)),
        };
        string hex = Convert.ToHexString(System.Runtime.InteropServices.MemoryMarshal.AsBytes(
            new ReadOnlySpan<FlowPlace<FlowKey4>>(in place)));
        Assert.Equal(
            "0807060504030201" + "1817161514131211" + "2827262524232221"
            + "3100000000000000" + "3200000000000000" + "3300000000000000" + "3400000000000000"
            + "41000000" + "42000000" + "43000000" + "5251" + "06" + "02"
            + "01020304" + "05060708" + "0A0B" + "0C0D" + "09090909" + "01020304" + "0001" + "0002",
            hex);
    }

    private static long BytesPerFlow<TKey>()
        where TKey : unmanaged, IFlowKey<TKey>
    {
        MapFileSpec spec = ConntrackTable<TKey>.SpecOf("x", 1_000_000);
        return (spec.Length - MapFileSpec.IndexOffset - spec.PlaceSize) / spec.Capacity;
    }

    private static FlowTables Tables() => FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Workers = 1 });
}
