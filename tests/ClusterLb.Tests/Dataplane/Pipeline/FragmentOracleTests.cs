using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>The same datagrams whole through one load balancer, and in parts, mixed with each other, through another: what a receiver
/// puts together must be what the first one sent.</summary>
public sealed class FragmentOracleTests
{
    private const int Datagrams = 1_500;

    private static readonly string[] Clients = ["10.244.0.9", "10.244.1.5", "203.0.113.7", "fd00:10:244::9", "fd00:10:244:1::5", "2001:db8::7"];

    private static readonly (string Frontend, ServiceFlags Flags, string Backend)[] Services =
    [
        ("10.96.0.10:53", ServiceFlags.None, "10.244.1.5:5353"),
        ("10.96.0.11:53", ServiceFlags.None, "10.244.1.5:5353"), // the same backend: ports may clash
        ("10.96.0.12:53", ServiceFlags.None, "10.244.1.6:53"),
        ("192.168.0.2:30053", ServiceFlags.NodePort, "10.244.1.5:5353"),
        ("198.51.100.1:53", ServiceFlags.LoadBalancer | ServiceFlags.ExternalLocalScope, "10.244.1.6:53"),
        ("[fd00:10:96::a]:53", ServiceFlags.None, "[fd00:10:244:1::5]:5353"),
        ("[fd00:10:96::b]:53", ServiceFlags.None, "[fd00:10:244:1::6]:53"),
    ];

    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public void Datagrams_in_parts_come_out_as_whole_ones_do(int seed)
    {
        using PipelineFixture whole = Create(seed);
        using PipelineFixture parts = Create(seed);
        var random = new Random(seed);
        var emitted = new List<FlowTuple>();
        var open = new List<Datagram>();
        int compared = 0;
        for (int i = 0; i < Datagrams || open.Count > 0; i++)
        {
            if (i < Datagrams)
            {
                open.Add(Begin(whole, parts, random, emitted, (uint)i, seed));
            }

            // Some parts of some datagrams; of each one in order, as the kernel hands them on.
            for (int n = random.Next(1, 12); n > 0 && open.Count > 0; n--)
            {
                Datagram datagram = open[random.Next(open.Count)];
                datagram.SendNext(parts);
                if (datagram.IsComplete)
                {
                    open.Remove(datagram);
                    datagram.Check();
                    compared++;
                }
            }

            whole.NowMs = ++parts.NowMs;
        }

        Assert.Equal(Datagrams, compared);
        Assert.Equal(whole.Flows.Count, parts.Flows.Count);
    }

    [Theory, InlineData(11), InlineData(12)]
    public void Whatever_comes_in_parts_breaks_nothing(int seed)
    {
        using PipelineFixture lb = Create(seed);
        var random = new Random(seed);
        var packets = new RandomPackets(seed);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] packet = random.Next(3) == 0
                ? packets.Any()
                : Random(random, Packet.Udp(Client(random, isIpv4: true, 41_000), "10.96.0.10:53").Payload(random.Next(900)).Fragments(8 * random.Next(1, 60), (uint)random.Next(4)));
            if (random.Next(4) == 0)
            {
                packet[random.Next(packet.Length)] ^= (byte)(1 << random.Next(8));
            }

            lb.Send(packet[..random.Next(Math.Max(1, packet.Length - 3), packet.Length + 1)]);
            lb.NowMs += random.Next(2);
        }

        Assert.True(lb.Counters.Fragments > 0, "nothing came through");
        Assert.True(lb.Flows.FragmentCount <= 8_192);

        static byte[] Random(Random random, IReadOnlyList<byte[]> fragments) => fragments[random.Next(fragments.Count)];
    }

    private static PipelineFixture Create(int seed)
    {
        var lb = new PipelineFixture(random: new FastRandomSource((ulong)seed));
        foreach ((string frontend, ServiceFlags flags, string backend) in Services)
        {
            lb.WithService($"{frontend}/UDP", flags, backend);
        }

        return lb;
    }

    /// <summary>A question of a client, or an answer to one; its first part goes out at once, so that both choose ports in the same order.</summary>
    private static Datagram Begin(
        PipelineFixture whole, PipelineFixture parts, Random random, List<FlowTuple> emitted, uint id, int seed)
    {
        FlowTuple tuple;
        if (emitted.Count > 0 && random.Next(2) == 0)
        {
            tuple = emitted[random.Next(emitted.Count)].Reverse;
        }
        else
        {
            (string frontend, _, _) = Services[random.Next(Services.Length)];
            (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(frontend);
            (IpAddr client, ushort clientPort) = PacketBuilder.ParseEndpoint(Client(random, address.IsIpv4, 20_000 + random.Next(20)));
            tuple = new FlowTuple(client, address, clientPort, port, IpProtocol.Udp);
        }

        byte[] payload = new byte[random.Next(1_500, 9_000)];
        random.NextBytes(payload);
        PacketBuilder packet = Packet.Of(tuple).Payload(payload).Id(1);
        string line = whole.Send(packet.ToBytes());
        Assert.True(whole.Verdict == Verdict.Forward, $"seed {seed}, datagram {id}, {tuple}: {line}");
        if (!whole.Meta.IsReply)
        {
            emitted.Add(whole.Meta.Translated);
        }

        var datagram = new Datagram($"seed {seed}, datagram {id}, {tuple}", whole.Written, packet.Fragments(8 * random.Next(60, 185), id + 1));
        datagram.SendNext(parts);
        return datagram;
    }

    private static string Client(Random random, bool isIpv4, int port)
    {
        string[] ofFamily = [.. Clients.Where(c => IpAddr.Parse(c).IsIpv4 == isIpv4)];
        return IpAddr.Parse(ofFamily[random.Next(ofFamily.Length)]).WithPort(port);
    }

    private sealed class Datagram(string name, byte[] want, IReadOnlyList<byte[]> fragments)
    {
        private readonly List<byte[]> _sent = [];

        public bool IsComplete => _sent.Count == fragments.Count;

        public void SendNext(PipelineFixture lb)
        {
            string line = lb.Send(fragments[_sent.Count]);
            Assert.True(lb.Verdict == Verdict.Forward, $"{name}, part {_sent.Count}: {line}");
            _sent.Add(lb.Written);
        }

        public void Check() => Assert.True(want.AsSpan().SequenceEqual(Reassembly.Of(_sent)), name);
    }
}
