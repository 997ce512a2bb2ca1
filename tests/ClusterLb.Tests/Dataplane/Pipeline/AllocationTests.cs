using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;
using ClusterLb.Tests.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Not one managed byte per packet, on the real shared maps, whatever becomes of the packet.</summary>
[Collection(UndisturbedCollection.Name)]
public sealed class AllocationTests
{
    private const int Packets = 5_000;

    // A round in which the runtime compiles, which it does when it likes, may allocate; a packet that does allocates in every round.
    private const int MostRounds = 20;
    private const string Client = "10.244.0.9:41000";
    private const string Client6 = "[fd00:10:244::9]:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Frontend6 = "[fd00:10:96::a]:80";
    private const string Backend = "10.244.1.5:8080";
    private const string Backend6 = "[fd00:10:244:1::5]:8080";

    public static TheoryData<string> Kinds => [.. AllKinds.Keys];

    private static readonly Dictionary<string, (Verdict Verdict, bool IsNewFlow, Func<PipelineFixture, byte[]> Packet)> AllKinds = new()
    {
        ["forward"] = (Verdict.Forward, false, lb => After(lb, Packet.Tcp(Client, Frontend).Syn(), Packet.Tcp(Client, Frontend).Ack())),
        ["forward IPv6"] = (Verdict.Forward, false, lb => After(lb, Packet.Udp(Client6, Frontend6), Packet.Udp(Client6, Frontend6))),
        ["reply"] = (Verdict.Forward, false, lb => After(lb, Packet.Tcp(Client, Frontend).Syn(), Packet.Tcp(Backend, Client).SynAck())),
        ["new flow"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, Frontend).Syn()),
        ["new flow IPv6, masqueraded"] = (Verdict.Forward, true, _ => Packet.Udp("[2001:db8::1]:41000", Frontend6)),
        ["new flow to a node port"] = (Verdict.Forward, true, _ => Packet.Tcp("203.0.113.9:41000", "192.168.0.2:30080").Syn()),
        ["new flow in a source range"] = (Verdict.Forward, true, _ => Packet.Tcp("203.0.113.9:41000", "198.51.100.1:80").Syn()),
        ["out of source range"] = (Verdict.Drop, false, _ => Packet.Tcp(Client, "198.51.100.1:80").Syn()),
        ["pass at a node address"] = (Verdict.Pass, false, _ => Packet.Tcp(Client, "192.168.0.2:30081").Syn()),
        ["new flow of a pinned client"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.13:80").Syn()),
        ["new flow of a client to be pinned"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.14:80").Syn()),
        ["new flow of a pinned client, IPv6"] = (Verdict.Forward, true, _ => Packet.Tcp(Client6, "[fd00:10:96::d]:80").Syn()),
        ["new flow by Maglev"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:2").Syn()),
        ["new flow by round robin"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:4").Syn()),
        ["new flow by least connections"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:5").Syn()),
        ["new flow by source hash"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:6").Syn()),
        ["new flow by destination hash"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:7").Syn()),
        ["new flow by shortest expected delay"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.20:8").Syn()),
        ["new flow with a canary"] = (Verdict.Forward, true, _ => Packet.Tcp(Client, "10.96.0.21:80").Syn()),
        ["reject by reset"] = (Verdict.Reject, false, _ => Packet.Tcp(Client, "10.96.0.11:80").Syn()),
        ["reject by ICMP"] = (Verdict.Reject, false, _ => Packet.Udp(Client, "10.96.0.11:80").Payload(100)),
        ["drop"] = (Verdict.Drop, false, _ => Packet.Tcp(Client, "10.96.0.77:80").Syn()),
        ["drop malformed"] = (Verdict.Drop, false, _ => Packet.Tcp(Client, Frontend).ToBytes()[..25]),
        ["pass"] = (Verdict.Pass, false, _ => Packet.Udp(Client, "203.0.113.1:53")),
        ["ICMP error"] = (Verdict.Forward, false, lb => After(
            lb, Packet.Udp(Client, Frontend), Packet.TimeExceeded("10.244.1.5", "10.244.0.9", Packet.Udp(Client, Backend)))),
        ["TCP without a flow"] = (Verdict.Reject, false, _ => Packet.Tcp(Client, Frontend).Ack()),
        ["untranslatable reply"] = (Verdict.Drop, false, lb => After(
            lb, Packet.Udp(Client, Frontend), Packet.Udp(Backend, "203.0.113.1:53"))),
        ["no local backend"] = (Verdict.Drop, false, _ => Packet.Tcp(Client, "10.96.0.12:80").Syn()),
        ["first fragment"] = (Verdict.Forward, false, lb => After(lb, Packet.Udp(Client, Frontend), Packet.Udp(Client, Frontend).Payload(300).Fragments(104)[0])),
        ["first fragment that begins a flow"] = (Verdict.Forward, true, _ => Packet.Udp(Client, Frontend).Payload(300).Fragments(104)[0]),
        ["first fragment that passes"] = (Verdict.Pass, false, _ => Packet.Udp(Client, "203.0.113.1:53").Payload(300).Fragments(104)[0]),
        ["later fragment"] = (Verdict.Drop, false, _ => Packet.Udp(Client, Frontend).Payload(300).Fragments(104, id: 9)[1]),
        ["ping"] = (Verdict.Forward, false, _ => Packet.Echo("10.244.0.9", "10.96.0.10")),
        ["ping IPv6"] = (Verdict.Forward, false, _ => Packet.Echo("fd00:10:244::9", "fd00:10:96::a")),
    };

    [Theory, MemberData(nameof(Kinds))]
    public void Allocates_nothing(string kind)
    {
        using PipelineFixture lb = Fixture();
        using AwaitedBackends awaited = AwaitedBackends.CreateInMemory();
        using BackendArrivals arrivals = BackendArrivals.CreateInMemory(awaited, TimeProvider.System);
        foreach ((ServingKey pair, _) in lb.Maps.Serving.Entries())
        {
            awaited.Await(pair, 0);
        }

        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random, arrivals);
        var buffer = new byte[2048];
        long nowMs = lb.NowMs;

        long allocated = -1;
        for (int round = 0; round < MostRounds && allocated != 0; round++)
        {
            lb.NowMs = nowMs;
            byte[] packet = AllKinds[kind].Packet(lb); // its flow lives longer than a round takes, but not than all of them
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Packets; i++)
            {
                if (AllKinds[kind].IsNewFlow)
                {
                    Expire(lb, ref nowMs);
                }

                packet.CopyTo(buffer, 0);
                var meta = new PacketMeta { Length = packet.Length };
                Verdict verdict = pipeline.Process(buffer, ref meta, ++nowMs);
                if (verdict != AllKinds[kind].Verdict || meta.NewFlow != AllKinds[kind].IsNewFlow)
                {
                    Assert.Fail($"{kind}: {verdict}, {meta.DropReason}, new flow {meta.NewFlow}");
                }
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
    }

    [Fact]
    public void A_later_fragment_of_a_known_datagram_allocates_nothing()
    {
        using PipelineFixture lb = Fixture();
        IReadOnlyList<byte[]> fragments = Packet.Udp(Client, Frontend).Payload(300).Fragments(104);
        lb.Send(fragments[0]);
        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random);

        Assert.Equal(0, AllocatedBy(fragments[1], pipeline, lb.NowMs, Verdict.Forward, DropReason.None, beforeEach: null));
    }

    [Fact]
    public void Choosing_another_backend_for_a_datagram_allocates_nothing()
    {
        using PipelineFixture lb = Fixture();
        byte[] packet = Packet.Udp(Client, Frontend);
        lb.Send(packet);
        uint servicePortId = lb.Meta.ServicePortId;
        lb.WithoutServing($"{Frontend}/UDP", Backend);
        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random);
        ulong revision = 1_000;

        Assert.Equal(0, AllocatedBy(packet, pipeline, lb.NowMs, Verdict.Forward, DropReason.None, beforeEach: () =>
            lb.Maps.ServicePorts.Update(servicePortId, new ServicePortEntry(++revision))));
        Assert.True(lb.Counters.RepickedFlows >= Packets, "no flow was begun anew");
    }

    [Fact]
    public void A_source_port_of_a_pool_and_the_lack_of_one_allocate_nothing()
    {
        using PipelineFixture lb = new PipelineFixture(
            SharedLbMaps.CreateInMemory(LbMapCapacities.Small),
            FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 65_536, Ipv6 = 64, Workers = 1 }),
            new FastRandomSource(1)).WithService($"{Frontend}/TCP", "10.244.1.5:8080");
        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random);
        var buffer = new byte[2048];
        const int SnatPorts = 33_512; // of the usual ranges
        long fromPool = 0;
        long refused = 0;
        for (int client = 0; client < SnatPorts + 5_000; client++) // all of one port, which one of them keeps
        {
            byte[] packet = Packet.Tcp($"203.{client >> 16}.{(client >> 8) & 0xFF}.{client & 0xFF}:41000", Frontend).Syn();
            packet.CopyTo(buffer, 0);
            var meta = new PacketMeta { Length = packet.Length };
            long before = GC.GetAllocatedBytesForCurrentThread();
            Verdict verdict = pipeline.Process(buffer, ref meta, lb.NowMs);
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(client <= SnatPorts ? Verdict.Forward : Verdict.Drop, verdict);
            (fromPool, refused) = client switch
            {
                > 20_000 and <= SnatPorts => (fromPool + allocated, refused), // after all has been compiled
                > SnatPorts + 1_000 => (fromPool, refused + allocated),
                _ => (fromPool, refused),
            };
        }

        Assert.Equal((0, 0), (fromPool, refused));
    }

    [Fact]
    public void Other_source_ports_in_the_configuration_allocate_nothing()
    {
        using PipelineFixture lb = Fixture();
        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random);
        byte[] packet = Packet.Udp("203.0.113.9:41000", Frontend); // masqueraded
        var buffer = new byte[2048];
        long nowMs = lb.NowMs;
        long allocated = -1;
        for (int round = 0; round < MostRounds && allocated != 0; round++)
        {
            allocated = 0;
            for (int i = 0; i < 500; i++)
            {
                var ranges = new SnatPortRanges((ushort)(5_000 + (i % 2)), 5_009);
                lb.WithNode(node => node with { SnatPorts = ranges });
                Expire(lb, ref nowMs);
                packet.CopyTo(buffer, 0);
                var meta = new PacketMeta { Length = packet.Length };
                long before = GC.GetAllocatedBytesForCurrentThread();
                Verdict verdict = pipeline.Process(buffer, ref meta, ++nowMs); // reads the node entry: a batch of its own
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                Assert.Equal((Verdict.Forward, true), (verdict, ranges.Contains(meta.Translated.SourcePort)));
            }
        }

        Assert.Equal(0, allocated);
    }

    [Fact]
    public void A_rejection_that_the_rate_limit_holds_back_allocates_nothing()
    {
        using PipelineFixture lb = Fixture();
        byte[] packet = Packet.Udp(Client, "10.96.0.11:80");
        var pipeline = new PacketPipeline(lb.Maps, lb.Flows, lb.Counters, lb.Random);
        var buffer = new byte[2048];
        for (int i = 0; i < 300; i++) // more than the limiter has in store
        {
            packet.CopyTo(buffer, 0);
            var meta = new PacketMeta { Length = packet.Length };
            pipeline.Process(buffer, ref meta, lb.NowMs);
        }

        Assert.Equal(0, AllocatedBy(packet, pipeline, lb.NowMs, Verdict.Drop, DropReason.RejectRateLimited, beforeEach: null));
    }

    /// <summary>Bytes that the same packet allocates again and again while time stands still; what is done before each does not count.</summary>
    private static long AllocatedBy(
        byte[] packet, PacketPipeline pipeline, long nowMs, Verdict expected, DropReason reason, Action? beforeEach)
    {
        var buffer = new byte[2048];
        long allocated = -1;
        for (int round = 0; round < MostRounds && allocated != 0; round++)
        {
            allocated = 0;
            for (int i = 0; i < Packets; i++)
            {
                beforeEach?.Invoke();
                packet.CopyTo(buffer, 0);
                var meta = new PacketMeta { Length = packet.Length };
                long before = GC.GetAllocatedBytesForCurrentThread();
                Verdict verdict = pipeline.Process(buffer, ref meta, nowMs);
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                if (verdict != expected || meta.DropReason != reason)
                {
                    Assert.Fail($"{verdict}, {meta.DropReason}");
                }
            }
        }

        return allocated;
    }

    /// <summary>Lets the flow expire, so that the next packet begins it again.</summary>
    private static void Expire(PipelineFixture lb, ref long nowMs)
    {
        nowMs += 200_000;
        lb.Flows.Sweep(nowMs, 16);
    }

    private static PipelineFixture Fixture()
    {
        var lb = new PipelineFixture(
            SharedLbMaps.CreateInMemory(new LbMapCapacities { Services = 1_024, Backends = 1_024, Serving = 1_024 }),
            FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Workers = 1 }),
            new FastRandomSource(1));
        lb.WithService($"{Frontend}/TCP", Backend).WithService($"{Frontend}/UDP", Backend).WithService($"{Frontend6}/UDP", Backend6);
        lb.WithService("10.96.0.11:80/TCP").WithService("10.96.0.11:80/UDP");
        lb.WithService("10.96.0.12:80/TCP", ServiceFlags.InternalLocalScope | ServiceFlags.EndpointsExist);
        lb.WithService("192.168.0.2:30080/TCP", ServiceFlags.NodePort, Backend);
        lb.WithService("198.51.100.1:80/TCP", ServiceFlags.LoadBalancer | ServiceFlags.SourceRange, Backend);
        lb.WithSourceRange("198.51.100.1:80/TCP", "203.0.113.0/24");
        foreach (SelectionAlgorithm algorithm in Enum.GetValues<SelectionAlgorithm>().Where(a => a > SelectionAlgorithm.Random))
        {
            lb.Algorithm = algorithm;
            lb.WithService($"10.96.0.20:{(int)algorithm}/TCP", Backend);
        }

        lb.Algorithm = SelectionAlgorithm.Random;
        lb.SharePercent = 50;
        lb.WithScope("10.96.0.21:80/TCP", LookupScope.ExternalCanary, ServiceFlags.None, Backend).WithService("10.96.0.21:80/TCP", Backend);
        lb.SharePercent = 0;
        lb.AffinitySeconds = 10_800;
        lb.WithService("10.96.0.13:80/TCP", Backend).WithService("[fd00:10:96::d]:80/TCP", Backend6);
        lb.WithNode(node => node with { Flags = node.Flags | NodeFlags.EchoReply });
        lb.AffinitySeconds = 1; // over before the next flow begins
        lb.WithService("10.96.0.14:80/TCP", Backend);
        return lb;
    }

    private static byte[] After(PipelineFixture lb, byte[] first, byte[] packet)
    {
        lb.Send(first);
        return packet;
    }
}
