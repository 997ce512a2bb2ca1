using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Simulation;

/// <summary>Clients, pods and the packets between them, which are delivered in any order, twice or never.</summary>
internal sealed class SimulatedNetwork(SimulatedCluster cluster, SimulatedNode node)
{
    private const int MostInFlight = 64;
    private const int MostSockets = 40;
    private const long LongestFlightMs = 1_000;
    private const int LongestWhole = 120; // bytes of data; what is longer goes in parts
    private const int PartBytes = 96;

    private static readonly string[] Clients =
    [
        "10.244.0.9", "10.244.1.9", "192.168.0.2", "203.0.113.7", "203.0.113.77", "10.244.0.1", "10.244.1.2",
        "fd00:10:244::9", "fd00:192::2", "2001:db8::7", "fd00:10:244::1",
    ];

    private static readonly ushort[] ClientPorts = [41_000, 41_001, 41_002, 62_000, 1_500];

    private readonly List<(byte[] Packet, bool IsTranslated)> _inFlight = [];
    private readonly List<Socket> _sockets = [];
    private readonly HashSet<FlowTuple> _emitted = []; // what the node has sent on: answers to it come back to the node
    private readonly Dictionary<uint, FlowTuple> _tupleOfSerial = [];
    private readonly ReassemblyBuffer _reassembly = new();
    private uint _lastSerial;
    private uint _lastInParts;

    /// <summary>Told of every packet that the node has decided on.</summary>
    public Action<byte[], Verdict, byte[], PacketOutcome>? Decided { get; set; }

    /// <summary>A digest of all that came out: equal for equal histories.</summary>
    public ulong Digest { get; private set; } = 14_695_981_039_346_656_037;

    /// <summary>Packets that came in parts, and arrived whole.</summary>
    public int Reassembled => _reassembly.Completed;

    /// <summary>Answers to pings that arrived.</summary>
    public int AnsweredPings { get; private set; }

    /// <summary>A client opens a socket, or goes on with one; or it pings.</summary>
    public string ClientSends(Random random)
    {
        if (random.Next(8) == 0)
        {
            return Ping(random);
        }

        Socket socket = _sockets.Count > 0 && random.Next(3) > 0 ? Pick(_sockets, random) : Open(random);
        PacketBuilder packet = Packet.Of(socket.Tuple).Ttl((byte)random.Next(2, 256)).Numbers((uint)random.Next(), (uint)random.Next());
        if (socket.Tuple.Protocol != IpProtocol.Tcp)
        {
            int length = random.Next(5) == 0 ? random.Next(LongestWhole + 1, 2 * PartBytes) : sizeof(uint);
            packet.Payload(Data(socket.Serial, length));
            packet = random.Next(6) == 0 && (socket.Tuple.IsIpv4 || socket.Tuple.Protocol == IpProtocol.Sctp) ? packet.NoChecksum() : packet;
            Send(packet, length);
            return $"sends {(length > LongestWhole ? "in parts " : "")}{PacketText.Describe(packet)}";
        }
        else if (!socket.IsEstablished)
        {
            packet.Syn();
        }
        else
        {
            switch (random.Next(12))
            {
                case 0:
                    packet.Fin();
                    _sockets.Remove(socket);
                    break;
                case 1:
                    packet.Rst();
                    _sockets.Remove(socket);
                    break;
                default:
                    packet.Flags(TcpFlags.Psh | TcpFlags.Ack).Payload(Data(socket.Serial));
                    break;
            }
        }

        Send(packet);
        return $"sends {PacketText.Describe(packet)}";
    }

    /// <summary>No packet is on its way for longer than a flow is remembered.</summary>
    public void TimePasses(long ms)
    {
        if (ms > LongestFlightMs)
        {
            _inFlight.Clear();
            _reassembly.Clear();
        }
    }

    /// <summary>The node asks an end of a connection whether it is still there.</summary>
    public void Ask(IReadOnlyList<byte[]> questions)
    {
        foreach (byte[] question in questions)
        {
            Send(question, isTranslated: true);
        }
    }

    /// <summary>What whoever has the address would answer to an echo request.</summary>
    public static byte[] AnswerTo(byte[] ping)
    {
        byte[] answer = [.. ping];
        FlowTuple tuple = ReferencePipeline.TupleOf(ping);
        int address = tuple.IsIpv4 ? 12 : 8;
        tuple.Destination.WriteTo(answer.AsSpan(address));
        tuple.Source.WriteTo(answer.AsSpan(address + tuple.Source.ByteLength));
        answer[tuple.IsIpv4 ? 8 : 7] = 64;
        answer[ReferenceRewriter.TransportOffset(answer, out _)] = tuple.IsIpv4 ? (byte)0 : (byte)129;
        ReferenceRewriter.CompleteChecksums(answer);
        return answer;
    }

    /// <summary>One of the packets in flight arrives, whichever; of one in parts, the rest may follow at once, as the kernel hands it on.</summary>
    public string Deliver(Random random)
    {
        if (_inFlight.Count == 0)
        {
            return "nothing is in flight";
        }

        int at = random.Next(_inFlight.Count);
        (byte[] packet, bool isTranslated) = _inFlight[at];
        _inFlight.RemoveAt(at);
        string what = Arrive(packet, isTranslated, random);
        if (PartsOf(packet) is not { } first || random.Next(3) == 0)
        {
            return what;
        }

        for (int next; (next = _inFlight.FindIndex(other => other.IsTranslated == isTranslated && PartsOf(other.Packet) == first)) >= 0;)
        {
            (packet, _) = _inFlight[next];
            _inFlight.RemoveAt(next);
            what += "\n      + " + Arrive(packet, isTranslated, random);
        }

        return what;
    }

    public string Duplicate(Random random)
    {
        if (_inFlight.Count == 0)
        {
            return "nothing is in flight";
        }

        (byte[] packet, bool isTranslated) = Pick(_inFlight, random);
        Send(packet, isTranslated);
        return $"twice: {PacketText.Describe(packet)}";
    }

    public string Lose(Random random)
    {
        if (_inFlight.Count == 0)
        {
            return "nothing is in flight";
        }

        int at = random.Next(_inFlight.Count);
        string lost = PacketText.Describe(_inFlight[at].Packet);
        _inFlight.RemoveAt(at);
        return $"lost: {lost}";
    }

    /// <summary>A router on the way cannot pass on what the node has sent.</summary>
    public string RouterComplains(Random random)
    {
        (byte[] Packet, bool)[] translated = [.. _inFlight.Where(p => p.IsTranslated && HasPorts(p.Packet))];
        if (translated.Length == 0)
        {
            return "nothing is in flight";
        }

        byte[] about = Pick(translated, random).Packet;
        FlowTuple tuple = ReferencePipeline.TupleOf(about);
        string router = tuple.IsIpv4 ? "198.18.0.1" : "2001:db8:ffff::1";
        byte[] error = random.Next(2) == 0
            ? Packet.PacketTooBig(router, tuple.Source.ToString(), about, 1300)
            : Packet.TimeExceeded(router, tuple.Source.ToString(), about);
        Send(error);
        return $"router: {PacketText.Describe(error)}";
    }

    /// <summary>Packets that belong to nothing: forged, late, broken.</summary>
    public string Stray(Random random)
    {
        byte[] packet;
        switch (random.Next(5))
        {
            case 0: // in the middle of a connection that nobody knows
                FlowTuple dialled = Dial(random);
                packet = Packet.Of(dialled).Flags((TcpFlags)random.Next(256)).Payload(random.Next(40));
                break;
            case 1: // an answer of a pod to nobody, or long ago
                FlowTuple known = _tupleOfSerial.Count > 0 ? _tupleOfSerial[1 + (uint)random.Next(_tupleOfSerial.Count)] : Dial(random);
                IpAddr pod = known.IsIpv4 ? Pick(cluster.Pods, random).Ipv4 : Pick(cluster.Pods, random).Ipv6;
                packet = Packet.Of(new FlowTuple(
                    pod, known.Source, known.Protocol switch { IpProtocol.Tcp => 8080, IpProtocol.Udp => 5353, _ => SimulatedCluster.SctpTargetPort }, known.SourcePort, known.Protocol)).SynAck();
                break;
            case 2: // for an address or a port that no service has
                FlowTuple near = Dial(random);
                packet = Packet.Of(random.Next(2) == 0 ? near with { DestinationPort = 81 }
                    : near with { Destination = IpAddr.Parse(near.IsIpv4 ? "10.96.0.99" : "fd00:10:96::99") }).Syn();
                break;
            case 3: // from an address that is a service's
                FlowTuple forged = Dial(random);
                packet = Packet.Of(forged with { Source = IpAddr.Parse(forged.IsIpv4 ? "10.96.0.11" : "fd00:10:96::11") }).Syn();
                break;
            default: // broken
                packet = Packet.Of(Dial(random)).Syn().Payload(random.Next(40));
                packet[random.Next(packet.Length)] ^= (byte)(1 << random.Next(8));
                break;
        }

        return Arrive(packet, isTranslated: false, random);
    }

    private string Ping(Random random)
    {
        FlowTuple tuple = Dial(random);
        IpAddr destination = random.Next(6) > 0 ? tuple.Destination : IpAddr.Parse(tuple.IsIpv4 ? "10.96.0.99" : "fd00:10:96::99");
        int length = random.Next(3) == 0 ? 2 * PartBytes : 20;
        PacketBuilder ping = Packet.Echo(tuple.Source.ToString(), destination.ToString(), (ushort)random.Next(4)).Payload(length).Ttl((byte)random.Next(2, 256));
        Send(ping, length);
        return $"pings {PacketText.Describe(ping)}";
    }

    private Socket Open(Random random)
    {
        FlowTuple tuple = Dial(random);
        if (_sockets.Find(socket => socket.Tuple == tuple) is { } open)
        {
            return open;
        }

        if (_sockets.Count >= MostSockets)
        {
            _sockets.RemoveAt(random.Next(_sockets.Count));
        }

        var fresh = new Socket(tuple, ++_lastSerial);
        _tupleOfSerial[fresh.Serial] = tuple;
        _sockets.Add(fresh);
        return fresh;
    }

    private static FlowTuple Dial(Random random)
    {
        IpAddr client = IpAddr.Parse(Pick(Clients, random));
        FlowTuple frontend;
        do
        {
            frontend = Pick(SimulatedCluster.Frontends, random);
        }
        while (frontend.Destination.IsIpv4 != client.IsIpv4);
        return frontend with { Source = client, SourcePort = Pick(ClientPorts, random) };
    }

    private string Arrive(byte[] packet, bool isTranslated, Random random)
    {
        if (isTranslated || !IsSteered(packet))
        {
            return ArriveAtHost(packet);
        }

        (Verdict verdict, byte[] written, PacketMeta meta) = node.Process(packet, random.Next(2));
        Mix((byte)verdict);
        foreach (byte b in written)
        {
            Mix(b);
        }

        Decided?.Invoke(packet, verdict, written, new PacketOutcome(meta.DropReason, meta.NewFlow));
        if (verdict == Verdict.Forward && HasPorts(written, evenInParts: true))
        {
            FlowTuple tuple = ReferencePipeline.TupleOf(written);
            byte[] want = PartsOf(packet) is null ? ReferenceRewriter.Rewrite(packet, tuple) : written; // those are looked at when they are whole
            if (HasRightChecksum(packet) && !want.AsSpan().SequenceEqual(written))
            {
                throw new SimulationException($"{PacketText.Describe(packet)} became other bytes than a rewrite to {tuple} gives");
            }

            if (!meta.IsReply)
            {
                _emitted.Add(tuple.Reverse);
            }
        }

        if (verdict != Verdict.Drop)
        {
            Send(written, isTranslated: true);
        }

        return $"{PacketText.Describe(packet)}\n      = {verdict}{(meta.DropReason == DropReason.None ? "" : $" {meta.DropReason}")}"
            + $"{(verdict is Verdict.Forward or Verdict.Reject ? ": " + PacketText.Describe(written) : "")}{(meta.NewFlow ? " (new flow)" : "")}";
    }

    /// <summary>Service addresses by their routes, answers by the kernel's mark, errors with what they are about.</summary>
    private bool IsSteered(byte[] packet)
    {
        if (!HasPorts(packet))
        {
            return true;
        }

        FlowTuple tuple = ReferencePipeline.TupleOf(packet);
        return _emitted.Contains(tuple) || SimulatedCluster.Frontends.Any(frontend => frontend.Destination == tuple.Destination);
    }

    private string ArriveAtHost(byte[] packet)
    {
        if (PartsOf(packet) is not null)
        {
            return _reassembly.Add(packet) is not { } whole ? $"a part: {PacketText.Describe(packet)}"
                : HasRightChecksum(whole) ? ArriveAtHost(whole)
                : throw new SimulationException($"the parts of a packet became {PacketText.Describe(whole)}");
        }

        if (!HasPorts(packet))
        {
            AnsweredPings += PacketParser.Parse(packet, out _, out HeaderOffsets at) == DropReason.None && at.IcmpKind == IcmpKind.EchoReply ? 1 : 0;
            return $"heard: {PacketText.Describe(packet)}";
        }

        FlowTuple tuple = ReferencePipeline.TupleOf(packet);
        int transport = ReferenceRewriter.TransportOffset(packet, out _);
        var flags = tuple.Protocol == IpProtocol.Tcp ? (TcpFlags)packet[transport + 13] : TcpFlags.None;
        int header = tuple.Protocol switch
        {
            IpProtocol.Tcp => (packet[transport + 12] >> 4) * 4,
            IpProtocol.Udp => 8,
            _ => 12,
        };
        ReadOnlySpan<byte> data = packet.AsSpan(transport + header);
        bool isForPod = tuple.DestinationPort is 8080 or 5353 or SimulatedCluster.SctpTargetPort;
        if (isForPod && Array.Find(cluster.Pods, pod => pod.Has(tuple.Destination)) is { } pod)
        {
            ArriveAtPod(pod, packet, tuple, flags, data);
            return $"pod hears: {PacketText.Describe(packet)}";
        }

        ArriveAtClient(tuple, flags, data);
        return $"client hears: {PacketText.Describe(packet)}";
    }

    private void ArriveAtPod(Pod pod, byte[] packet, FlowTuple tuple, TcpFlags flags, ReadOnlySpan<byte> data)
    {
        if (pod.Phase == PodPhase.Absent)
        {
            return;
        }

        PacketBuilder answer = Packet.Of(tuple.Reverse);
        if (tuple.Protocol == IpProtocol.Udp)
        {
            Send(pod.Listens
                ? answer.Payload([.. data, .. Data(pod.Instance)])
                : Packet.PortUnreachable(tuple.Destination.ToString(), tuple.Source.ToString(), packet), pod.Listens ? data.Length : 0);
            return;
        }

        if (tuple.Protocol == IpProtocol.Sctp)
        {
            if (pod.Listens)
            {
                Send(answer.Payload([.. data, .. Data(pod.Instance)]), data.Length);
            }

            return;
        }

        string peer = tuple.ToString();
        if (flags.HasFlag(TcpFlags.Rst))
        {
            pod.Close(peer);
        }
        else if (flags.HasFlag(TcpFlags.Syn) && pod.IsEstablished(peer))
        {
            Send(answer.Ack());
        }
        else if (flags.HasFlag(TcpFlags.Syn) && pod.Listens)
        {
            pod.Accept(peer);
            Send(answer.SynAck().Payload(Data(pod.Instance)));
        }
        else if (!pod.Knows(peer))
        {
            Send(answer.Rst());
        }
        else if (flags.HasFlag(TcpFlags.Fin))
        {
            pod.Close(peer);
            Send(answer.Fin());
        }
        else
        {
            pod.Establish(peer);
            if (data.Length > 0)
            {
                Send(answer.Flags(TcpFlags.Psh | TcpFlags.Ack).Payload([.. data, .. Data(pod.Instance)]));
            }
        }
    }

    /// <summary>What a client hears must come from where it dialled, and be an answer to what it sent there.</summary>
    private void ArriveAtClient(FlowTuple tuple, TcpFlags flags, ReadOnlySpan<byte> data)
    {
        if (tuple.Protocol == IpProtocol.Tcp && flags.HasFlag(TcpFlags.Rst))
        {
            _sockets.RemoveAll(socket => socket.Tuple == tuple.Reverse);
            return;
        }

        if (data.Length >= 2 * sizeof(uint))
        {
            uint serial = BinaryPrimitives.ReadUInt32BigEndian(data);
            bool isUntranslated = Array.Exists(cluster.Pods, pod => pod.Has(tuple.Source)); // which is the onlooker's business
            bool isKnown = _tupleOfSerial.TryGetValue(serial, out FlowTuple asked) && asked != tuple; // else a question for nobody here
            if (!isUntranslated && isKnown && asked != tuple.Reverse)
            {
                throw new SimulationException($"the answer to {asked} reached its client as {tuple}");
            }

            if (isKnown && !data[..^sizeof(uint)].SequenceEqual(Data(serial, data.Length - sizeof(uint))))
            {
                throw new SimulationException($"the answer to {asked} has other data than the question");
            }
        }

        if (_sockets.Find(socket => socket.Tuple == tuple.Reverse) is not { } known || tuple.Protocol != IpProtocol.Tcp)
        {
            return;
        }

        if (flags.HasFlag(TcpFlags.Syn))
        {
            known.IsEstablished = true;
        }
        else if (flags.HasFlag(TcpFlags.Fin))
        {
            _sockets.Remove(known);
        }
        else if (data.IsEmpty)
        {
            // A bare acknowledgement at the wrong place: a connection says where it stands, a client in its handshake that it has none.
            Send(known.IsEstablished ? Packet.Of(known.Tuple).Ack() : Packet.Of(known.Tuple).Rst());
        }
    }

    /// <summary>In parts, if it has more data than that.</summary>
    private void Send(PacketBuilder packet, int dataBytes)
    {
        foreach (byte[] part in dataBytes > LongestWhole ? packet.Fragments(PartBytes, ++_lastInParts) : [packet.ToBytes()])
        {
            Send(part);
        }
    }

    /// <summary>What the parts of one packet have in common; null for a whole one.</summary>
    private static (IpAddr Source, IpAddr Destination, uint Id)? PartsOf(byte[] packet) =>
        PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at) == DropReason.None && at.IsFragment
            ? (tuple.Source, tuple.Destination, at.FragmentId)
            : null;

    private void Send(byte[] packet, bool isTranslated = false)
    {
        if (_inFlight.Count < MostInFlight)
        {
            _inFlight.Add((packet, isTranslated));
        }
    }

    private void Mix(byte b) => Digest = (Digest ^ b) * 1_099_511_628_211;

    private static bool HasPorts(byte[] packet, bool evenInParts = false) =>
        PacketParser.Parse(packet, out _, out HeaderOffsets at) == DropReason.None && (evenInParts ? !at.IsLaterFragment : !at.IsFragment)
        && at.Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp;

    /// <summary>A wrong checksum stays wrong by as much; only a right one can be computed anew.</summary>
    private static bool HasRightChecksum(byte[] packet) =>
        PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at) == DropReason.None
        && TransportChecksum.Check(packet, at, tuple) != ChecksumState.Invalid;

    /// <summary>A number, and bytes that follow from it.</summary>
    private static byte[] Data(uint number, int length = sizeof(uint))
    {
        var bytes = new byte[length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        for (int i = sizeof(uint); i < length; i++)
        {
            bytes[i] = (byte)(number + i);
        }

        return bytes;
    }

    private static T Pick<T>(IReadOnlyList<T> choices, Random random) => choices[random.Next(choices.Count)];

    private sealed class Socket(FlowTuple tuple, uint serial)
    {
        public FlowTuple Tuple => tuple;

        public uint Serial => serial;

        public bool IsEstablished { get; set; }
    }
}

/// <summary>What the pipeline said of a packet, beside its verdict.</summary>
internal readonly record struct PacketOutcome(DropReason Reason, bool IsNewFlow);
