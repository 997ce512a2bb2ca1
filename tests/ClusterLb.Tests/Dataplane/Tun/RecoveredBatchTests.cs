using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Tun;

/// <summary>What a worker had in hand when its process was killed: the next one has the same memory and carries on.</summary>
public sealed class RecoveredBatchTests
{
    private const string Client = "10.244.1.9:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";

    [Fact]
    public void A_packet_that_was_only_read_is_translated_and_written()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn());
        fixture.Device.Receive(0, fixture.Batches.Of(0)); // killed here

        fixture.Workers[0].Recover();

        Assert.Contains($"> {Backend}", PacketText.Describe(fixture.Sent().AsSpan(VnetHeader.Length)), StringComparison.Ordinal);
        Assert.Null(fixture.Sent());
    }

    [Fact]
    public void A_packet_that_was_translated_but_not_written_is_written_as_it_is()
    {
        using var fixture = new WorkerFixture();
        byte[] translated = Packet.Tcp(Client, Backend).Syn();
        PacketBatch before = fixture.Batches.Of(0);
        fixture.Inject(translated);
        fixture.Device.Receive(0, before);
        Decide(before, 0, Verdict.Forward);

        fixture.Workers[0].Recover();

        Assert.Equal(translated, fixture.Sent()![VnetHeader.Length..]);
        Assert.Equal(0UL, fixture.Counters[0].Packets(Verdict.Forward)); // it was counted when it was decided
    }

    [Fact]
    public void What_was_written_dropped_or_in_the_pipeline_does_not_come_again()
    {
        using var fixture = new WorkerFixture();
        PacketBatch before = fixture.Batches.Of(0);
        for (int i = 0; i < 3; i++)
        {
            fixture.Inject(Packet.Tcp(Client, Frontend).Syn());
        }

        fixture.Device.Receive(0, before);
        Decide(before, 0, Verdict.Forward);
        before.Sent(0);
        Decide(before, 1, Verdict.Drop);
        before.BeginWork(2); // a packet that kills the dataplane must not kill the next one, too

        fixture.Workers[0].Recover();

        Assert.Null(fixture.Sent());
        Assert.Equal(0, fixture.Batches.Of(0).CountLeft());
    }

    [Fact]
    public void An_answer_that_was_not_written_gets_an_empty_vnet_header()
    {
        using var fixture = new WorkerFixture();
        PacketBatch before = fixture.Batches.Of(0);
        fixture.Inject(Packet.Tcp(Backend, Client).Syn(), header: [1, 1, 40, 0, 0x64, 5, 20, 0, 16, 0]);
        fixture.Device.Receive(0, before);
        Decide(before, 0, Verdict.Reject);

        fixture.Workers[0].Recover();

        Assert.Equal(new byte[VnetHeader.Length], fixture.Sent()![..VnetHeader.Length]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(VnetHeader.Length)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void A_damaged_slot_is_dropped(int frameLength)
    {
        using var fixture = new WorkerFixture();
        PacketBatch before = fixture.Batches.Of(0);
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn());
        fixture.Device.Receive(0, before);
        before.SlotAt(0).FrameLength = frameLength;

        fixture.Workers[0].Recover();

        Assert.Null(fixture.Sent());
    }

    [Fact]
    public void After_the_recovery_the_worker_goes_on_as_ever()
    {
        using var fixture = new WorkerFixture();
        fixture.Lb.WithService($"{Frontend}/TCP", Backend);
        fixture.Inject(Packet.Tcp(Client, Frontend).Syn());
        fixture.Device.Receive(0, fixture.Batches.Of(0));
        fixture.Workers[0].Recover();
        fixture.Inject(Packet.Tcp(Backend, Client).SynAck());

        fixture.Workers[0].RunOnce(idleMs: 0);

        Assert.NotNull(fixture.Sent());
        Assert.Contains($"{Frontend} >", PacketText.Describe(fixture.Sent().AsSpan(VnetHeader.Length)), StringComparison.Ordinal);
        Assert.Equal(0, fixture.Batches.Of(0).CountLeft());
    }

    [Fact]
    public void Packets_in_hand_outlive_a_change_of_the_number_of_workers()
    {
        string directory = MemoryFolder.Create("clb-batches-");
        try
        {
            byte[] packet = Packet.Tcp(Client, Frontend).Syn();
            using (PacketBatches before = PacketBatches.OpenForWriting(directory, workers: 2))
            {
                PacketBatch batch = before.Of(1);
                packet.CopyTo(batch.NextFrame[VnetHeader.Length..]);
                batch.Add(VnetHeader.Length + packet.Length, queue: 1);
            }

            using PacketBatches after = PacketBatches.OpenForWriting(directory, workers: 3);

            Assert.Equal([0, 1, 0], Enumerable.Range(0, after.Workers).Select(worker => after.Of(worker).CountLeft()));
            PacketBatch left = after.Of(1);
            left.Recover();
            Assert.Equal(packet, left.Frame(0)[VnetHeader.Length..].ToArray());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Decide(PacketBatch batch, int index, Verdict verdict)
    {
        batch.BeginWork(index);
        batch.Verdict(index) = verdict;
        batch.Decide(index);
    }
}
