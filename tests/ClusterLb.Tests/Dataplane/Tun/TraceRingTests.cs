using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Tun;

public sealed class TraceRingTests
{
    [Fact]
    public void A_listener_sees_what_happened_to_a_packet()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        using var reader = new TraceReader(TraceRing.FromDescriptor(fixture.Trace.OpenDescriptor()), TimeProvider.System);
        fixture.Inject(Packet.Tcp("10.244.1.9:41000", "10.96.0.10:80").Syn());
        fixture.Workers[0].RunOnce(idleMs: 0);

        TraceEvent seen = Assert.Single(reader.Read());

        Assert.Equal(Verdict.Forward, seen.Verdict);
        Assert.Equal("TCP 10.244.1.9:41000 -> 10.96.0.10:80", seen.Tuple.ToString());
        Assert.Equal("TCP 10.244.1.9:41000 -> 10.244.1.5:8080", seen.Translated.ToString());
        Assert.Equal(TraceFlags.NewFlow, seen.Flags);
        Assert.Empty(reader.Read());
    }

    [Fact]
    public void Nothing_is_written_while_nobody_listens()
    {
        using var fixture = new WorkerFixture();
        fixture.Inject(Packet.Tcp("10.244.1.9:41000", "10.96.0.10:80").Syn());

        fixture.Workers[0].RunOnce(idleMs: 0);

        Assert.Equal(0UL, fixture.Trace.Position(0));
    }

    [Fact]
    public void A_slow_reader_knows_what_it_has_missed()
    {
        using var ring = TraceRing.CreateInMemory(workers: 1);
        using var reader = new TraceReader(TraceRing.FromDescriptor(ring.OpenDescriptor()), TimeProvider.System);
        var meta = default(PacketMeta);
        for (int i = 0; i < TraceRing.RecordsPerWorker + 10; i++)
        {
            meta.BackendId = (uint)i;
            ring.Write(0, nowNs: i, Verdict.Pass, meta);
        }

        IReadOnlyList<TraceEvent> events = reader.Read();

        Assert.Equal(10UL, reader.Missed);
        Assert.Equal(Enumerable.Range(10, TraceRing.RecordsPerWorker).Select(i => (uint)i), events.Select(e => e.BackendId));
    }

    [Fact]
    public void Another_number_of_workers_takes_a_fresh_file_and_leaves_none_behind()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("clb-trace-");
        TraceRing.OpenForWriting(directory.FullName, workers: 1).Dispose();

        using (TraceRing ring = TraceRing.OpenForWriting(directory.FullName, workers: 2))
        {
            Assert.Equal(2, ring.Workers);
        }

        Assert.Equal([TraceRing.FileName], Directory.GetFiles(FlowDirectory.PathIn(directory.FullName)).Select(Path.GetFileName));
        directory.Delete(recursive: true);
    }

    [Fact]
    public void A_reader_never_sees_half_a_record()
    {
        using var ring = TraceRing.CreateInMemory(workers: 1);
        using var reader = new TraceReader(TraceRing.FromDescriptor(ring.OpenDescriptor()), TimeProvider.System);
        const int Records = 2_000_000;
        var writer = new Thread(() =>
        {
            var meta = default(PacketMeta);
            for (uint i = 1; i <= Records; i++)
            {
                meta.RevNatId = meta.ServicePortId = meta.BackendId = i;
                ring.Write(0, nowNs: i, Verdict.Forward, meta);
            }
        });
        writer.Start();

        ulong seen = 0;
        bool ended;
        do
        {
            ended = writer.Join(0);
            foreach (TraceEvent e in reader.Read())
            {
                Assert.True(e.RevNatId == e.TimeNs && e.ServicePortId == e.TimeNs && e.BackendId == e.TimeNs, e.ToString());
                seen++;
            }
        }
        while (!ended);

        Assert.Equal((ulong)Records, seen + reader.Missed);
    }
}
