using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Random traffic through the pipeline and through the obvious implementation: every byte that comes out is compared.</summary>
public sealed class PipelineOracleTests
{
    private const int Packets = 10_000;

    private static readonly string[] Clients =
        ["10.244.0.9", "10.244.0.10", "10.244.1.5", "192.168.0.2", "203.0.113.7", "fd00:10:244::9", "fd00:10:244:1::5", "fd00:192::2", "2001:db8::7"];

    private static readonly string[] Backends4 = ["10.244.1.5:8080", "10.244.1.6:8080", "10.244.1.7:9090", "192.168.0.2:8080"];
    private static readonly string[] Backends6 = ["[fd00:10:244:1::5]:8080", "[fd00:10:244:1::6]:8080", "[fd00:192::2]:8080"];

    private static readonly (string Frontend, ServiceFlags Flags)[] Frontends =
    [
        ("10.96.0.10:80/TCP", ServiceFlags.None),
        ("10.96.0.11:80/TCP", ServiceFlags.None), // leads to the same backends: answers may clash
        ("10.96.0.10:53/UDP", ServiceFlags.None),
        ("10.96.0.12:53/UDP", ServiceFlags.None),
        ("10.96.0.10:99/SCTP", ServiceFlags.None),
        ("192.168.0.2:30080/TCP", ServiceFlags.NodePort),
        ("192.168.0.2:30053/UDP", ServiceFlags.NodePort | ServiceFlags.ExternalLocalScope | ServiceFlags.TwoScopes),
        ("198.51.100.1:80/TCP", ServiceFlags.LoadBalancer | ServiceFlags.SourceRange),
        ("[fd00:10:96::a]:80/TCP", ServiceFlags.None),
        ("[fd00:10:96::a]:53/UDP", ServiceFlags.None),
        ("[fd00:10:96::b]:53/UDP", ServiceFlags.None),
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(300)]
    [InlineData(4_000)]
    public void Every_packet_comes_out_as_the_obvious_implementation_says(int seed)
    {
        using var lb = new PipelineFixture(random: new FastRandomSource((ulong)seed));
        var reference = new ReferencePipeline(lb.Maps, new FastRandomSource((ulong)seed));
        var traffic = new Traffic(lb, seed);
        var verdicts = new Dictionary<(Verdict, DropReason), int>();
        for (int i = 0; i < Packets; i++)
        {
            traffic.MaybeChangeTheWorld();
            byte[] packet = traffic.Next();
            lb.Queue = (ushort)(i % 4);
            ReferencePipeline.Result want = reference.Process(packet, lb.Queue, lb.NowMs);
            lb.Send(packet);

            string because = $"seed {seed}, packet {i}: {PacketText.Describe(packet)}";
            Assert.True(want.Verdict == lb.Verdict && want.Reason == lb.Meta.DropReason,
                $"{because}: got {lb.Verdict} {lb.Meta.DropReason}, want {want.Verdict} {want.Reason}");
            Assert.True(want.Packet.AsSpan().SequenceEqual(lb.Written),
                $"{because}: got {PacketText.Describe(lb.Written)}, want {PacketText.Describe(want.Packet)}\n"
                + $"{Convert.ToHexString(lb.Written)}\n{Convert.ToHexString(want.Packet)}");
            Assert.True(want.Queue == lb.Meta.Queue, $"{because}: queue {lb.Meta.Queue}, want {want.Queue}");
            traffic.Seen(packet, lb.Verdict, lb.Written);
            verdicts[(want.Verdict, want.Reason)] = verdicts.GetValueOrDefault((want.Verdict, want.Reason)) + 1;
        }

        // The traffic is of use only if it gets everywhere.
        Assert.True(verdicts.GetValueOrDefault((Verdict.Forward, DropReason.None)) > Packets / 3, $"seed {seed}");
        Assert.All(
            new[] { DropReason.NoBackend, DropReason.NotASyn, DropReason.UnknownServicePort, DropReason.UnknownServiceAddress, DropReason.UntranslatableReply },
            reason => Assert.Contains(verdicts.Keys, key => key.Item2 == reason));
    }

    /// <summary>Clients, backends and routers that talk at random, and a control plane that changes its mind.</summary>
    private sealed class Traffic(PipelineFixture lb, int seed)
    {
        private readonly Random _random = new(seed);
        private readonly List<byte[]> _emitted = [];
        private bool _isSetUp;

        public void MaybeChangeTheWorld()
        {
            if (!_isSetUp)
            {
                _isSetUp = true;
                foreach ((string frontend, ServiceFlags flags) in Frontends)
                {
                    Change(frontend, flags);
                }

                lb.WithSourceRange("198.51.100.1:80/TCP", "203.0.113.0/25").WithSourceRange("198.51.100.1:80/TCP", "10.244.0.9/32");
            }

            lb.NowMs += _random.Next(3);
            switch (_random.Next(400))
            {
                case 0:
                    lb.NowMs += _random.Next(1, 200_000);
                    break;
                case < 8:
                    (string frontend, ServiceFlags flags) = Frontends[_random.Next(Frontends.Length)];
                    Change(frontend, flags);
                    break;
                case 8:
                    lb.WithNode(node => node with { Flags = node.Flags ^ NodeFlags.Synced });
                    break;
                case 9:
                    lb.Flows.Sweep(lb.NowMs, 1_000); // must change nothing that can be seen
                    break;
            }
        }

        public byte[] Next() => _random.Next(10) switch
        {
            < 5 => FromClient(),
            < 8 when _emitted.Count > 0 => Answer(Pick(_emitted)),
            8 when _emitted.Count > 0 => ErrorAbout(Pick(_emitted)),
            _ => FromClient(),
        };

        public void Seen(byte[] packet, Verdict verdict, byte[] written)
        {
            if (verdict == Verdict.Forward && written[Protocol(written)] is 6 or 17 or 132)
            {
                _emitted.Add(written);
                if (_emitted.Count > 200)
                {
                    _emitted.RemoveAt(_random.Next(_emitted.Count));
                }
            }
            else if (_random.Next(50) == 0 && verdict == Verdict.Pass && packet[Protocol(packet)] is 6 or 17 or 132)
            {
                _emitted.Add(packet); // answers and errors of which we know nothing
            }
        }

        private static int Protocol(byte[] packet) => packet[0] >> 4 == 4 ? 9 : 6;

        private byte[] FromClient()
        {
            string client = Pick(Clients);
            bool isIpv4 = IpAddr.Parse(client).IsIpv4;
            (string frontend, _) = Pick([.. Frontends.Where(f => f.Frontend.StartsWith('[') != isIpv4)]);
            (IpAddr address, ushort port, IpProtocol protocol) = PipelineFixture.ParseFrontend(frontend);
            switch (_random.Next(25))
            {
                case 0:
                    port++;
                    break;
                case 1:
                    address = IpAddr.Parse(isIpv4 ? "10.96.0.77" : "fd00:10:96::77");
                    break;
                case 2:
                    address = IpAddr.Parse(isIpv4 ? "203.0.113.99" : "2001:db8::99");
                    break;
                case 3:
                    protocol = protocol == IpProtocol.Udp ? IpProtocol.Tcp : IpProtocol.Udp;
                    break;
            }

            ushort source = Pick<ushort>([41_000, 41_001, 41_002, 62_000, 1_500]);
            return Finish(new FlowTuple(IpAddr.Parse(client), address, source, port, protocol), _random.Next(3) == 0);
        }

        private byte[] Answer(byte[] emitted) => Finish(ReferencePipeline.TupleOf(emitted).Reverse, isFirst: false);

        private byte[] Finish(FlowTuple tuple, bool isFirst)
        {
            TcpFlags flags = isFirst ? TcpFlags.Syn : Pick(
            [
                TcpFlags.Ack, TcpFlags.Ack | TcpFlags.Psh, TcpFlags.Syn | TcpFlags.Ack, TcpFlags.Fin | TcpFlags.Ack,
                TcpFlags.Syn, TcpFlags.Syn, TcpFlags.Rst, TcpFlags.Rst | TcpFlags.Ack, TcpFlags.Fin, TcpFlags.None,
            ]);
            PacketBuilder packet = Packet.Of(tuple).Flags(flags).Ttl((byte)_random.Next(1, 256)).Payload(_random.Next(60))
                .Numbers((uint)_random.Next(), (uint)_random.Next());
            return _random.Next(8) == 0 && tuple is { Protocol: IpProtocol.Udp, IsIpv4: true } ? packet.NoChecksum() : packet;
        }

        private byte[] ErrorAbout(byte[] emitted)
        {
            FlowTuple tuple = ReferencePipeline.TupleOf(emitted);
            string router = tuple.IsIpv4 ? "198.51.100.1" : "2001:db8:ffff::1";
            string complainer = _random.Next(2) == 0 ? tuple.Destination.ToString() : router;
            string sender = tuple.Source.ToString();
            return _random.Next(3) switch
            {
                0 => Packet.PortUnreachable(complainer, sender, emitted),
                1 => Packet.PacketTooBig(complainer, sender, emitted, 1300),
                _ => Packet.TimeExceeded(complainer, sender, emitted),
            };
        }

        /// <summary>Other backends for a frontend: some leave the slots and stop serving, some keep serving, some come.</summary>
        private void Change(string frontend, ServiceFlags flags)
        {
            string[] all = frontend.StartsWith('[') ? Backends6 : Backends4;
            string[] chosen = _random.Next(6) == 0 ? [] : [.. all.Where(_ => _random.Next(2) == 0)];
            if ((flags & ServiceFlags.TwoScopes) != ServiceFlags.None)
            {
                ServiceFlags exist = chosen.Length > 0 || _random.Next(2) == 0 ? ServiceFlags.EndpointsExist : ServiceFlags.None;
                lb.WithScope(frontend, LookupScope.Internal, flags | exist, chosen);
                lb.WithScope(frontend, LookupScope.External, flags | exist, [.. chosen.Take(_random.Next(2))]);
            }
            else
            {
                lb.WithService(frontend, flags, chosen);
            }

            foreach (string gone in all.Except(chosen).Where(_ => _random.Next(2) == 0))
            {
                lb.WithoutServing(frontend, gone);
            }
        }

        private T Pick<T>(IReadOnlyList<T> choices) => choices[_random.Next(choices.Count)];
    }
}
