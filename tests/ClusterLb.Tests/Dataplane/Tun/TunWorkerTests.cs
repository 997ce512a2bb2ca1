using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Tun;

public sealed class TunWorkerTests
{
    private const string Client = "10.244.1.9:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";

    private static readonly byte[] GsoHeader = [1, 1, 40, 0, 0x64, 5, 20, 0, 16, 0]; // NEEDS_CSUM, TCPv4, lengths and offsets

    [Fact]
    public void A_translated_packet_takes_its_vnet_header_back_unchanged()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn().PartialChecksum(), header: GsoHeader);

        Assert.Equal(1, fixture.Workers[0].RunOnce(idleMs: 0));

        byte[] frame = fixture.Sent()!;
        Assert.Equal(GsoHeader, frame[..VnetHeader.Length]);
        Assert.Contains("> 10.244.1.5:8080", PacketText.Describe(frame.AsSpan(VnetHeader.Length)), StringComparison.Ordinal);
    }

    [Fact]
    public void An_answer_of_our_own_has_an_empty_vnet_header()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/TCP");
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn().PartialChecksum(), header: GsoHeader);

        fixture.Workers[0].RunOnce(idleMs: 0);

        byte[] frame = fixture.Sent()!;
        Assert.Equal(new byte[VnetHeader.Length], frame[..VnetHeader.Length]);
        string text = PacketText.Describe(frame.AsSpan(VnetHeader.Length));
        Assert.Contains("[R", text, StringComparison.Ordinal);
        Assert.Contains("checksums ok", text, StringComparison.Ordinal);
    }

    [Fact]
    public void An_idle_worker_asks_for_all_connections_whose_backend_has_left()
    {
        const int Connections = 100; // more than are asked in one slice
        using var fixture = new WorkerFixture();
        PipelineFixture lb = fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        lb.NowMs = Environment.TickCount64;
        for (int port = 1; port <= Connections; port++)
        {
            lb.Send(Packet.Tcp($"10.244.1.9:{port}", Frontend).Syn());
            lb.Send(Packet.Tcp(Backend, $"10.244.1.9:{port}").SynAck());
        }

        lb.WithService($"{Frontend}/TCP").WithoutServing($"{Frontend}/TCP", Backend);
        var asked = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < 10_000 && asked.Count < Connections; i++)
        {
            fixture.Workers[0].RunOnce(idleMs: 1);
            while (fixture.Sent() is { } frame)
            {
                Assert.Equal(new byte[VnetHeader.Length], frame[..VnetHeader.Length]);
                asked.Add(PacketText.Describe(frame.AsSpan(VnetHeader.Length)));
            }
        }

        Assert.Equal(Connections, asked.Count);
        Assert.All(asked, text => Assert.Contains($"> {Backend} tcp [S] checksums ok", text, StringComparison.Ordinal));
    }

    [Fact]
    public void A_dropped_packet_is_not_written()
    {
        using var fixture = new WorkerFixture();
        fixture.Inject([0x45, 0]);

        Assert.Equal(1, fixture.Workers[0].RunOnce(idleMs: 0));

        Assert.Null(fixture.Sent());
        Assert.Equal(1UL, fixture.Counters[0].Packets(Verdict.Drop));
    }

    [Fact]
    public void Every_packet_of_a_flow_is_written_to_the_queue_of_its_first()
    {
        using var fixture = new WorkerFixture(queues: 2);
        fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn(), queue: 1);
        fixture.Workers[1].RunOnce(idleMs: 0);
        Assert.NotNull(fixture.Sent(queue: 1));

        fixture.Inject(Packet.Tcp(Backend, Client).SynAck(), queue: 0); // the reply comes by the other queue
        fixture.Workers[0].RunOnce(idleMs: 0);

        Assert.Null(fixture.Sent(queue: 0));
        Assert.NotNull(fixture.Sent(queue: 1));
    }

    [Fact]
    public void What_the_device_does_not_take_is_counted()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/UDP", Backend);
        byte[] large = Packet.Udp(Client, Frontend).Payload(60_000);
        int injected = 0;
        while (injected < 40) // 40 times 60 kB do not fit into the 1 MiB of the other direction
        {
            fixture.Inject(large);
            fixture.Workers[0].RunOnce(idleMs: 0);
            injected++;
        }

        Assert.InRange(fixture.Counters[0].Drops(DropReason.WriteFailed), 1UL, 39UL);
    }

    [Fact]
    public void A_worker_is_offline_when_it_waits_and_beats_while_idle()
    {
        using var fixture = new WorkerFixture();

        fixture.Workers[0].RunOnce(idleMs: 0);

        Assert.Equal(ulong.MaxValue, fixture.OldestEpoch);
        WorkerHeartbeat beat = Assert.Single(fixture.Heartbeats);
        Assert.False(beat.IsOnline);
        Assert.True(beat.TimeNs > 0);
    }

    [Fact]
    public void Stop_ends_a_waiting_worker_after_the_batch_in_hand()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/UDP", Backend);
        var thread = new Thread(fixture.Workers[0].Run);
        thread.Start();
        fixture.Inject(Packet.Udp(Client, Frontend).Payload("hello"));
        SpinWait.SpinUntil(() => fixture.Counters[0].Packets(Verdict.Forward) == 1);

        fixture.Workers[0].Stop();

        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        Assert.NotNull(fixture.Sent());
    }

    [Fact]
    public void Handling_100_000_packets_allocates_nothing()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        byte[] frame = [.. new byte[VnetHeader.Length], .. Packet.Tcp(Client, Frontend).Syn().ToBytes()];
        byte[] room = new byte[frame.Length];
        Handle(packets: 100_000); // whatever is made once is made now, by the paths that take turns too

        long before = GC.GetAllocatedBytesForCurrentThread();
        Handle(packets: 100_000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(0, allocated);

        void Handle(int packets)
        {
            fixture.Trace.ListenUntil(long.MaxValue); // with the trace on, too
            for (int done = 0; done < packets;)
            {
                for (int i = 0; i < PacketBatch.Capacity; i++)
                {
                    fixture.Device.TryInject(0, frame);
                }

                done += fixture.Workers[0].RunOnce(idleMs: 0);
                while (fixture.Device.TakeSent(0, room) > 0)
                {
                }
            }
        }
    }
}
