using ClusterLb.Agent.Replay;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Agent.Replay;

/// <summary>
/// Whoever breaks a promise of the dataplane is found out. Each case begins with packets through the real pipeline, against which the
/// onlooker has nothing; then it is told that something else has become of one more packet.
/// </summary>
public sealed class PacketWatchTests : IDisposable
{
    private const string Client = "10.244.0.9:41000";
    private const string Web = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";
    private const string Other = "10.244.1.6:8080";
    private const string Dns = "10.96.0.10:53";
    private const string Server = "10.244.1.5:5353";
    private const string TcpFlow = $"TCP {Client} -> {Web}";
    private const string UdpFlow = $"UDP {Client} -> {Dns}";
    private const string Late = "late";

    private readonly PipelineFixture _lb = new PipelineFixture().WithService($"{Web}/TCP", Backend).WithService($"{Dns}/UDP", Server);
    private readonly PacketWatch _watch;

    public PacketWatchTests() => _watch = new PacketWatch(_lb.Maps);

    public void Dispose() => _lb.Dispose();

    [Fact]
    public void What_cannot_be_read_is_dropped()
    {
        Assert.Null(_watch.Check([0x45], [], Verdict.Drop, default, _lb.NowMs));
        Assert.Equal("a packet that cannot be read was not dropped", _watch.Check([0x45], [0x45], Verdict.Pass, default, _lb.NowMs));
    }

    [Fact]
    public void What_is_written_can_be_read() =>
        Assert.Equal("what was written cannot be read", Claim(Packet.Tcp(Client, Web).Syn().ToBytes(), Verdict.Forward, [0x45, 0]));

    [Fact]
    public void Nothing_leaves_for_the_service_range() => Assert.Equal(
        "a packet left for 10.96.0.99, an address of the service range",
        Claim(Packet.Tcp(Client, "10.96.0.99:80").Syn(), Verdict.Pass, Packet.Tcp(Client, "10.96.0.99:80").Syn()));

    [Fact]
    public void A_checksum_that_was_right_stays_right()
    {
        Keep(Packet.Udp(Client, Dns).Payload("x").WrongChecksum()); // goes on as wrong as it came
        Assert.Equal(
            "the checksum was right and is wrong now",
            Claim(Packet.Udp(Client, Dns).Payload("x"), Verdict.Forward, Packet.Udp(Client, Server).Payload("x").WrongChecksum()));
    }

    [Fact]
    public void A_new_flow_goes_to_a_backend_that_serves()
    {
        _lb.WithService($"{Web}/TCP", Other).WithoutServing($"{Web}/TCP", Backend);
        Keep(Packet.Tcp("10.244.0.9:41001", Web).Syn());
        _lb.WithService($"{Web}/TCP", Backend).WithoutServing($"{Web}/TCP", Backend); // so that what is claimed carries its id
        Assert.Equal(
            $"{TcpFlow} was sent to 10.244.1.5, which does not serve",
            Claim(Packet.Tcp(Client, Web).Syn(), Verdict.Forward, Packet.Tcp(Client, Backend).Syn(), isNew: true));
    }

    [Fact]
    public void A_flow_begins_with_a_packet() => Assert.Equal(
        $"{TcpFlow} was translated by a flow that no packet began",
        Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Forward, Packet.Tcp(Client, Backend).Push("x"), isNew: false));

    [Fact]
    public void The_client_is_seen_as_itself_or_as_this_node()
    {
        Keep(Packet.Tcp("203.0.113.7:20000", Web).Syn()); // masqueraded
        Assert.Equal(
            "the client 10.244.0.9 became 192.168.0.3, which is not this node",
            Claim(Packet.Tcp(Client, Web).Syn(), Verdict.Forward, Packet.Tcp("192.168.0.3:20000", Backend).Syn(), isNew: true));
    }

    [Fact]
    public void Two_flows_never_have_the_same_answers()
    {
        _lb.WithService("10.96.0.11:80/TCP", Backend);
        Establish();
        Keep(Packet.Tcp("10.244.0.9:41001", "10.96.0.11:80").Syn());
        Assert.Equal(
            $"TCP {Client} -> 10.96.0.11:80 and {TcpFlow} have the same answers, TCP {Backend} -> {Client}",
            Claim(Packet.Tcp(Client, "10.96.0.11:80").Syn(), Verdict.Forward, Packet.Tcp(Client, Backend).Syn(), isNew: true));
    }

    [Fact]
    public void A_connection_keeps_its_backend()
    {
        Establish();
        Assert.Equal(
            $"{TcpFlow} went to TCP {Client} -> {Other} and left 10.244.1.5, which serves",
            Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Forward, Packet.Tcp(Client, Other).Push("x"), isNew: true));
    }

    [Fact]
    public void A_UDP_flow_keeps_its_backend_while_that_serves_and_leaves_it_afterwards()
    {
        Keep(Packet.Udp(Client, Dns));
        Assert.Equal(
            $"{UdpFlow} went to UDP {Client} -> 10.244.1.6:5353 and left 10.244.1.5, which serves",
            Claim(Packet.Udp(Client, Dns), Verdict.Forward, Packet.Udp(Client, "10.244.1.6:5353"), isNew: true));

        _lb.WithService($"{Dns}/UDP", "10.244.1.6:5353").WithoutServing($"{Dns}/UDP", Server);
        Assert.Equal(
            $"{UdpFlow} stayed with 10.244.1.5, which no longer serves",
            Claim(Packet.Udp(Client, Dns), Verdict.Forward, Packet.Udp(Client, Server), isNew: false));
    }

    [Theory]
    [InlineData(Verdict.Drop, DropReason.ConntrackFull)]
    [InlineData(Verdict.Reject, DropReason.NoBackend)]
    public void A_live_flow_whose_backend_serves_is_not_refused(Verdict verdict, DropReason reason)
    {
        Establish();
        Assert.Equal(
            $"{TcpFlow}, a live flow whose backend serves, met {verdict} {reason}",
            Claim(Packet.Tcp(Client, Web).Push("x"), verdict, verdict == Verdict.Drop ? null : Packet.Tcp(Web, Client).Rst(), reason));
    }

    [Fact]
    public void Only_flows_that_never_stood_go_when_the_table_is_full()
    {
        Keep(Packet.Tcp("10.244.0.9:41001", Web).Syn());
        Establish();
        Keep(Packet.Tcp("10.244.0.9:41002", Web).Syn());
        _watch.TableIsFull();
        Keep(Packet.Tcp("10.244.0.9:41002", Web).Syn()); // so it is still there
        Assert.Equal(
            $"TCP 10.244.0.9:41002 -> {Web}, a live flow whose backend serves, met Drop ConntrackFull",
            Claim(Packet.Tcp("10.244.0.9:41002", Web).Syn(), Verdict.Drop, null, DropReason.ConntrackFull));
        Assert.Null(Claim(Packet.Tcp("10.244.0.9:41001", Web).Ack(), Verdict.Drop, null, DropReason.ConntrackFull));
        Assert.Equal(
            $"{TcpFlow}, a live flow whose backend serves, met Drop ConntrackFull",
            Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Drop, null, DropReason.ConntrackFull));
    }

    [Theory]
    [InlineData(Verdict.Drop)]
    [InlineData(Verdict.Pass)]
    public void A_reply_is_neither_dropped_nor_let_out_untranslated(Verdict verdict)
    {
        Establish();
        Assert.Equal(
            $"a reply of the live flow {TcpFlow} met {verdict}",
            Claim(Packet.Tcp(Backend, Client).Push("y"), verdict, verdict == Verdict.Drop ? null : Packet.Tcp(Backend, Client).Push("y")));
    }

    [Fact]
    public void A_reply_comes_from_the_frontend_that_was_asked()
    {
        Establish();
        Assert.Equal(
            $"a reply of {TcpFlow} was translated to TCP 10.96.0.10:81 -> {Client}",
            Claim(Packet.Tcp(Backend, Client).Push("y"), Verdict.Forward, Packet.Tcp("10.96.0.10:81", Client).Push("y")));
    }

    [Fact]
    public void A_reply_whose_flow_is_over_does_not_leave_with_the_backends_address()
    {
        Establish();
        _lb.Later(TimeSpan.FromDays(2));
        Keep(Packet.Tcp(Backend, Client).Push(Late));
        Assert.Equal(
            "the late reply of 10.244.1.5 left untranslated",
            Claim(Packet.Tcp(Backend, Client).Push(Late), Verdict.Pass, Packet.Tcp(Backend, Client).Push(Late)));
    }

    [Fact]
    public void After_a_restart_that_is_asked_of_backends_alone()
    {
        Establish();
        _lb.Later(TimeSpan.FromDays(2));
        _watch.DataplaneRestarts(_lb.NowMs);
        Assert.NotNull(Claim(Packet.Tcp(Backend, Client).Push(Late), Verdict.Pass, Packet.Tcp(Backend, Client).Push(Late)));

        _lb.WithoutBackend($"{Web}/TCP", Backend).WithoutBackend($"{Dns}/UDP", Server);
        _watch.DataplaneRestarts(_lb.NowMs);
        Assert.Null(Claim(Packet.Tcp(Backend, Client).Push(Late), Verdict.Pass, Packet.Tcp(Backend, Client).Push(Late)));
    }

    [Fact]
    public void A_part_of_a_packet_goes_where_its_flow_goes()
    {
        IReadOnlyList<byte[]> parts = Packet.Udp(Client, Dns).Payload(4000).Fragments(1480);
        Keep(parts[0]);
        Keep(parts[1]);
        Assert.Equal(
            $"a part of a packet of {UdpFlow} went from 10.244.0.9 to 10.244.1.6",
            Claim(parts[2], Verdict.Forward, Packet.Udp(Client, "10.244.1.6:5353").Payload(4000).Fragments(1480)[2]));
    }

    [Fact]
    public void A_part_of_a_packet_that_nobody_began_goes_nowhere()
    {
        byte[] part = Packet.Udp(Client, Dns).Payload(3000).Fragments(1480)[1];
        Keep(part);
        Assert.Equal(
            "a part of a packet, UDP 10.244.0.9:0 -> 10.96.0.10:0, was translated by a flow that no packet began",
            Claim(part, Verdict.Forward, Packet.Udp(Client, Server).Payload(3000).Fragments(1480)[1]));
    }

    [Fact]
    public void An_ICMP_error_reaches_the_client_and_tells_it_of_what_it_sent()
    {
        Keep(Packet.Udp(Client, Dns));
        byte[] about = _lb.Written;
        PacketBuilder error = Packet.PacketTooBig("192.168.0.1", "10.244.0.9", about, 1400);
        Keep(error);

        Assert.Equal($"an error about the live flow {UdpFlow} met Drop", Claim(error, Verdict.Drop, null, DropReason.IcmpWithoutFlow));
        Assert.Equal($"an error about {UdpFlow} does not tell 10.244.0.9 of what it sent", Claim(error, Verdict.Forward, error));
    }

    [Fact]
    public void After_the_backend_itself_has_said_port_unreachable_a_datagram_may_go_elsewhere()
    {
        Keep(Packet.Udp(Client, Dns));
        Keep(Packet.PortUnreachable("10.244.1.5", "10.244.0.9", _lb.Written));
        _lb.WithService($"{Dns}/UDP", Server, "10.244.1.6:5353");
        Assert.Null(Claim(Packet.Udp(Client, Dns), Verdict.Forward, Packet.Udp(Client, "10.244.1.6:5353"), isNew: true));
    }

    [Fact]
    public void Nobody_is_reset_whose_backend_serves()
    {
        Establish();
        _watch.OrphansWereLookedFor();
        Assert.Equal($"{TcpFlow} was reset although 10.244.1.5 serves", ClaimReset());
    }

    [Fact]
    public void Nobody_is_reset_against_the_policy()
    {
        _lb.WithService($"{Web}/TCP", ServiceFlags.KeepIfGone, Backend);
        Establish();
        BackendLeaves(ServiceFlags.KeepIfGone);
        Assert.Equal($"{TcpFlow} was reset against its policy", ClaimReset());
    }

    [Fact]
    public void Nobody_is_reset_who_was_answered_just_now()
    {
        Establish();
        BackendLeaves();
        Keep(Packet.Tcp(Backend, Client).Push("y"));
        _lb.Later(TimeSpan.FromMilliseconds(499));
        Assert.Equal($"{TcpFlow} was reset 499 ms after 10.244.1.5 answered", ClaimReset());
        _lb.Later(TimeSpan.FromMilliseconds(1));
        Assert.Null(ClaimReset());
    }

    [Fact]
    public void Each_end_is_reset_in_the_name_of_the_other()
    {
        Establish();
        BackendLeaves();
        _lb.Later(TimeSpan.FromSeconds(1));
        Assert.Equal(
            $"an end of {TcpFlow} was told as TCP {Backend} -> {Client}",
            Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Reject, Packet.Tcp(Backend, Client).Rst(), DropReason.BackendGone));
    }

    [Fact]
    public void Whose_client_was_reset_does_not_go_on()
    {
        Establish();
        BackendLeaves();
        _lb.Later(TimeSpan.FromSeconds(1));
        Assert.Null(ClaimReset());
        Assert.Equal(
            $"{TcpFlow} went on although its client was reset",
            Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Forward, Packet.Tcp(Client, Backend).Push("x"), isNew: false));
    }

    /// <summary>What the dataplane does with this packet breaks no promise.</summary>
    private void Keep(byte[] packet)
    {
        _lb.Send(packet);
        Assert.Null(_watch.Check(packet, _lb.Written, _lb.Verdict, _lb.Meta, _lb.NowMs));
    }

    private void Keep(PacketBuilder packet) => Keep(packet.ToBytes());

    /// <summary>What is said if this had become of the packet instead.</summary>
    /// <param name="packet">As it was read.</param>
    /// <param name="verdict">Claimed.</param>
    /// <param name="written">Claimed; null for nothing.</param>
    /// <param name="reason">Claimed.</param>
    /// <param name="isNew">Claimed: that it began its flow.</param>
    private string? Claim(byte[] packet, Verdict verdict, byte[]? written, DropReason reason = DropReason.None, bool isNew = false)
    {
        _lb.Send(packet);
        PacketMeta meta = _lb.Meta with { DropReason = reason, NewFlow = isNew };
        return _watch.Check(packet, written ?? [], verdict, meta, _lb.NowMs);
    }

    private string? Claim(PacketBuilder packet, Verdict verdict, PacketBuilder? written, DropReason reason = DropReason.None, bool isNew = false) =>
        Claim(packet.ToBytes(), verdict, written?.ToBytes(), reason, isNew);

    private string? ClaimReset() =>
        Claim(Packet.Tcp(Client, Web).Push("x"), Verdict.Reject, Packet.Tcp(Web, Client).Rst(), DropReason.BackendGone);

    private void Establish()
    {
        Keep(Packet.Tcp(Client, Web).Syn());
        Keep(Packet.Tcp(Backend, Client).SynAck());
        Keep(Packet.Tcp(Client, Web).Ack());
    }

    private void BackendLeaves(ServiceFlags flags = ServiceFlags.None)
    {
        _lb.WithService($"{Web}/TCP", flags, Other).WithoutServing($"{Web}/TCP", Backend);
        _lb.LookForOrphans();
        _watch.OrphansWereLookedFor();
    }
}
