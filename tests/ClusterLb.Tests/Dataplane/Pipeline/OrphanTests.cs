using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>TCP connections whose backend has left its service: who goes on, who is asked, who is told.</summary>
public sealed class OrphanTests
{
    private const string Client = "10.244.0.9:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";
    private const string Other = "10.244.1.6:8080";
    private const string Service = Frontend + "/TCP";
    private const string Question = $"{Client} > {Backend} tcp [S] checksums ok";
    private const string AskedForReset = $"{Frontend} > {Client} tcp [.] checksums ok";
    private static readonly TimeSpan AnswerTime = TimeSpan.FromMilliseconds(OrphanPass.AnswerMs);

    [Fact]
    public void A_connection_goes_on_for_as_long_as_the_backend_answers_and_new_ones_go_elsewhere()
    {
        using PipelineFixture lb = Departed();
        for (int i = 0; i < 20; i++)
        {
            lb.LookForOrphans(TimeSpan.FromSeconds(2));
            Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Push("question")));
            Assert.StartsWith($"{Frontend} > {Client}", lb.Send(Packet.Tcp(Backend, Client).Push("answer")), StringComparison.Ordinal);
        }

        Assert.Equal(86_399, Assert.Single(lb.List()).RemainingSeconds, tolerance: 1);
        Assert.Contains($"> {Other}", lb.Send(Packet.Tcp("10.244.0.9:41001", Frontend).Syn()));
    }

    [Fact]
    public void A_backend_that_answers_no_more_is_given_up_and_the_client_is_reset_where_its_stream_stands()
    {
        using PipelineFixture lb = Departed();
        lb.Send(Packet.Tcp(Client, Frontend).Push("question").Numbers(1000, 5000));
        Assert.Contains($"> {Backend}", lb.Later(AnswerTime / 2).Send(Packet.Tcp(Client, Frontend).Push("question").Numbers(1000, 5000)));

        Assert.Equal($"reject: {Frontend} > {Client} tcp [R] checksums ok", lb.Later(AnswerTime / 2).Send(Packet.Tcp(Client, Frontend).Push("question").Numbers(1000, 5000)));
        Assert.Equal(DropReason.BackendGone, lb.Meta.DropReason);
        Assert.Equal(5000u, SequenceOf(lb.Written));
        Assert.Equal(1UL, lb.Counters.ResetFlows);
        Assert.Equal("CLOSE", Assert.Single(lb.List()).State);
    }

    [Fact]
    public void A_question_that_comes_in_parts_is_waited_for_no_longer_than_a_whole_one()
    {
        using PipelineFixture lb = Departed();
        for (uint id = 1; id <= 2; id++)
        {
            foreach (byte[] part in Packet.Tcp(Client, Frontend).Push("").Payload(3000).Fragments(1480, id))
            {
                lb.Send(part);
                Assert.Equal((Verdict.Forward, "10.244.1.5"), (lb.Verdict, lb.Meta.Translated.Destination.ToString()));
            }

            lb.Later(AnswerTime / 2);
        }

        Assert.StartsWith("reject: ", lb.Send(Packet.Tcp(Client, Frontend).Push("question")), StringComparison.Ordinal);
        Assert.Equal(DropReason.BackendGone, lb.Meta.DropReason);
    }

    [Fact]
    public void The_rest_of_a_segment_keeps_no_connection_that_is_given_up()
    {
        using PipelineFixture lb = Departed();
        IReadOnlyList<byte[]> parts = Packet.Tcp(Client, Frontend).Push("").Payload(3000).Fragments(1480);
        lb.Send(parts[0]);
        Assert.Equal([AskedForReset], lb.LookForOrphans(AnswerTime));
        lb.Send(parts[1]);

        Assert.Equal(OrphanPass.LifeMs / 1000, Assert.Single(lb.List()).RemainingSeconds, tolerance: 1);
    }

    [Fact]
    public void An_answer_in_time_ends_the_waiting()
    {
        using PipelineFixture lb = Departed();
        lb.Send(Packet.Tcp(Client, Frontend).Push("question"));
        lb.Later(AnswerTime / 2).Send(Packet.Tcp(Backend, Client).Ack());
        Assert.Contains($"> {Backend}", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("next")));
    }

    [Fact]
    public void A_client_that_gives_up_is_waited_for_no_more()
    {
        using PipelineFixture lb = Departed();
        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Rst()));

        Assert.Equal(10, Assert.Single(lb.List()).RemainingSeconds, tolerance: 1);
    }

    [Fact]
    public void Acknowledgements_ask_for_no_answer()
    {
        using PipelineFixture lb = Departed();
        lb.Send(Packet.Tcp(Backend, Client).Push("the last word"));
        for (int i = 0; i < 5; i++)
        {
            Assert.Contains($"> {Backend}", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Ack()));
        }
    }

    [Theory]
    [InlineData(Client, Frontend, Backend)]
    [InlineData("[fd00:10:244::9]:41000", "[fd00:10:96::a]:80", "[fd00:10:244:1::5]:8080")]
    public void A_silent_connection_is_asked_for_and_its_client_is_told_when_nobody_answers(string client, string frontend, string backend)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/TCP", backend);
        Establish(lb, client, frontend, backend);
        lb.LookForOrphans();
        lb.WithService($"{frontend}/TCP").WithoutServing($"{frontend}/TCP", backend);

        for (int i = 0; i < 3; i++)
        {
            Assert.Equal([$"{client} > {backend} tcp [S] checksums ok"], lb.LookForOrphans(TimeSpan.FromMilliseconds(160)));
        }

        Assert.Equal([$"{frontend} > {client} tcp [.] checksums ok"], lb.LookForOrphans(AnswerTime));
        Assert.Equal($"reject: {frontend} > {client} tcp [R] checksums ok", lb.Send(Packet.Tcp(client, frontend).Ack().Numbers(7, 8)));
        Assert.Equal(8u, SequenceOf(lb.Written));
        Assert.Empty(lb.LookForOrphans(AnswerTime));
    }

    [Fact]
    public void A_silent_connection_whose_backend_answers_stays_and_is_asked_again_ten_seconds_later()
    {
        using PipelineFixture lb = Departed();
        Assert.Empty(lb.LookForOrphans(AnswerTime));
        Assert.Empty(lb.LookForOrphans(TimeSpan.FromSeconds(5)));

        Assert.Equal([Question], lb.LookForOrphans(TimeSpan.FromSeconds(10)));
        Assert.Equal([AskedForReset], lb.LookForOrphans(AnswerTime));
        Assert.Equal(1, lb.Orphans.Orphans);
    }

    [Fact]
    public void A_backend_that_comes_back_has_its_connections_as_before()
    {
        using PipelineFixture lb = Departed();
        lb.LookForOrphans();
        lb.WithService(Service, Backend).WithoutServing(Service, Other);
        Assert.Empty(lb.LookForOrphans(AnswerTime));

        Assert.Equal(86_399, Assert.Single(lb.List()).RemainingSeconds, tolerance: 1);
        Assert.Contains($"> {Backend}", lb.Later(TimeSpan.FromMinutes(1)).Send(Packet.Tcp(Client, Frontend).Push("x")));
        Assert.Contains($"> {Backend}", lb.Later(TimeSpan.FromMinutes(1)).Send(Packet.Tcp(Client, Frontend).Push("x")));
        Assert.Empty(lb.LookForOrphans(TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void With_reset_both_ends_are_told_at_once_though_the_backend_would_answer()
    {
        using PipelineFixture lb = Departed(ServiceFlags.ResetIfGone, isGone: true);
        Assert.Equal([AskedForReset], lb.LookForOrphans());
        Assert.Equal($"reject: {Frontend} > {Client} tcp [R] checksums ok", lb.Send(Packet.Tcp(Client, Frontend).Push("x")));
        Assert.Equal($"reject: {Client} > {Backend} tcp [R] checksums ok", lb.Send(Packet.Tcp(Backend, Client).Push("y").Numbers(1, 2)));
        Assert.Equal(1UL, lb.Counters.ResetFlows);
        Assert.Equal(2UL, lb.Counters.Drops(DropReason.BackendGone));
    }

    [Fact]
    public void With_reset_a_packet_of_the_backend_becomes_the_reset_of_a_client_that_only_listens()
    {
        using PipelineFixture lb = Departed(ServiceFlags.ResetIfGone, isGone: true);
        lb.LookForOrphans();
        Assert.Equal($"reject: {Frontend} > {Client} tcp [R.] checksums ok", lb.Send(Packet.Tcp(Backend, Client).Push("tick").Numbers(777, 2)));
        Assert.Equal(777u, SequenceOf(lb.Written));
        Assert.StartsWith($"reject: {Client} > {Backend} tcp [R", lb.Send(Packet.Tcp(Backend, Client).Push("tock")), StringComparison.Ordinal);
    }

    [Fact]
    public void With_reset_a_backend_that_is_only_not_ready_or_in_another_service_keeps_its_connections_while_it_answers()
    {
        using PipelineFixture lb = Departed(ServiceFlags.ResetIfGone);
        Assert.Equal([Question], lb.LookForOrphans());
        for (int i = 0; i < 5; i++)
        {
            lb.Send(Packet.Tcp(Backend, Client).Push("y"));
            Assert.Contains($"> {Backend}", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("x")));
        }

        Assert.StartsWith("reject: ", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("x")), StringComparison.Ordinal); // it is dead
    }

    [Fact]
    public void With_keep_nobody_is_told_anything()
    {
        using PipelineFixture lb = Departed(ServiceFlags.KeepIfGone, isGone: true);
        Assert.Empty(lb.LookForOrphans());
        for (int i = 0; i < 5; i++)
        {
            Assert.Contains($"> {Backend}", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("x")));
            Assert.Empty(lb.LookForOrphans(TimeSpan.FromSeconds(10)));
        }

        Assert.Equal(0UL, lb.Counters.ResetFlows);
    }

    [Fact]
    public void A_connection_that_was_given_up_does_not_keep_its_port_from_a_new_one()
    {
        using PipelineFixture lb = Departed(isFound: false);
        lb.LookForOrphans();
        Assert.Equal([AskedForReset], lb.LookForOrphans(AnswerTime));
        Assert.Contains($"> {Other}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.True(lb.Meta.NewFlow);
        Assert.Equal("SYN_SENT", Assert.Single(lb.List()).State);
    }

    [Fact]
    public void Nobody_is_asked_about_a_connection_whose_time_is_over()
    {
        using PipelineFixture lb = Departed(isFound: false);

        Assert.Empty(lb.LookForOrphans(TimeSpan.FromDays(2)));
        Assert.StartsWith("drop: ", lb.Send(Packet.Tcp(Backend, Client).Push("late")), StringComparison.Ordinal);
    }

    [Fact]
    public void Connections_of_a_deleted_service_go_on_while_they_are_answered()
    {
        using PipelineFixture lb = Departed(isGone: true);
        lb.Send(Packet.Tcp(Client, Frontend).Push("x"));
        lb.WithoutService(Service);
        lb.Maps.ServicePorts.Delete(lb.Meta.ServicePortId);
        lb.Maps.CountDeparture();
        lb.LookForOrphans();
        lb.Send(Packet.Tcp(Backend, Client).Push("y"));
        Assert.Contains($"> {Backend}", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("x")));
        Assert.StartsWith("reject: ", lb.Later(AnswerTime).Send(Packet.Tcp(Client, Frontend).Push("x")), StringComparison.Ordinal);
    }

    [Fact]
    public void More_connections_than_can_be_asked_at_once_are_asked_one_after_the_other()
    {
        using PipelineFixture lb = new PipelineFixture().WithService(Service, Backend);
        for (int port = 1; port <= 500; port++)
        {
            Establish(lb, $"10.244.0.9:{port}", Frontend, Backend);
        }

        lb.LookForOrphans();
        lb.WithService(Service).WithoutServing(Service, Backend);
        Assert.Equal(500, lb.LookForOrphans().Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(500, lb.LookForOrphans(AnswerTime).Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(500, lb.Orphans.Orphans);
    }

    [Fact]
    public void A_flow_that_was_begun_while_its_backend_left_is_found_by_the_second_look()
    {
        using PipelineFixture lb = new PipelineFixture().WithService(Service, Backend);
        lb.LookForOrphans();
        lb.WithoutServing(Service, Backend); // the slot is still there: so the flow gets this backend, and the revision of now
        lb.LookForOrphans();
        Establish(lb, Client, Frontend, Backend);
        lb.Flows.TryLookup(lb.List()[0].Original, lb.NowMs, out FlowHit flow);
        lb.Flows.SetRevision(flow, 1); // as a worker that had read it before

        Assert.Empty(lb.LookForOrphans(TimeSpan.FromMilliseconds(500)));
        Assert.Equal([Question], lb.LookForOrphans(TimeSpan.FromMilliseconds(600)));
    }

    /// <summary>An established connection, seen once by the search; then its backend leaves, and another one serves.</summary>
    /// <param name="flags">The policy.</param>
    /// <param name="isGone">It leaves all services.</param>
    /// <param name="isFound">The search has seen that, and the backend has answered its question.</param>
    private static PipelineFixture Departed(ServiceFlags flags = ServiceFlags.None, bool isGone = false, bool isFound = true)
    {
        PipelineFixture lb = new PipelineFixture().WithService(Service, flags, Backend);
        Establish(lb, Client, Frontend, Backend);
        lb.LookForOrphans();
        lb.WithService(Service, flags, Other);
        lb = isGone ? lb.WithoutBackend(Service, Backend) : lb.WithoutServing(Service, Backend);
        if (flags == ServiceFlags.None && isFound)
        {
            Assert.Equal([Question], lb.LookForOrphans());
            lb.Send(Packet.Tcp(Backend, Client).Ack());
        }

        return lb;
    }

    private static void Establish(PipelineFixture lb, string client, string frontend, string backend)
    {
        lb.Send(Packet.Tcp(client, frontend).Syn());
        lb.Send(Packet.Tcp(backend, client).SynAck());
        lb.Send(Packet.Tcp(client, frontend).Ack());
    }

    private static uint SequenceOf(byte[] packet) =>
        System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(packet[0] >> 4 == 4 ? 24 : 44));
}
