using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Differential;

/// <summary>One conversation of a client with a service, packet by packet, as a sane pair of stacks would have it.</summary>
internal sealed class Talk(FlowTuple asked, Random random)
{
    private readonly uint _clientStart = (uint)random.NextInt64(1L << 32);
    private readonly uint _backendStart = (uint)random.NextInt64(1L << 32);
    private FlowTuple? _answered;
    private byte[]? _lastToBackend; // as the backend got it
    private byte[]? _lastToClient; // as the client got it
    private uint _fromClient;
    private uint _fromBackend;
    private int _stage; // TCP: 0 nothing, 1 SYN, 2 SYN-ACK, 3 open, 4 client finished, 5 both finished

    /// <summary>Nothing more will be said.</summary>
    public bool IsOver { get; private set; }

    /// <summary>What is said next, and by which side.</summary>
    public (byte[] Packet, bool FromClient) Next()
    {
        if (_lastToBackend is not null && random.Next(8) == 0)
        {
            return (ErrorAbout(_lastToBackend, toClient: true), false);
        }

        if (_lastToClient is not null && random.Next(12) == 0)
        {
            return (ErrorAbout(_lastToClient, toClient: false), true);
        }

        return asked.Protocol == IpProtocol.Tcp ? NextTcp() : NextUdp();
    }

    /// <summary>What arrived on the other side.</summary>
    public void Arrived(byte[] packet, bool fromClient)
    {
        byte protocol = packet[packet[0] >> 4 == 4 ? 9 : 6];
        if (protocol is 1 or 58)
        {
            return;
        }

        if (fromClient)
        {
            _answered = ReferencePipeline.TupleOf(packet).Reverse;
            _lastToBackend = packet;
        }
        else
        {
            _lastToClient = packet;
        }
    }

    private (byte[] Packet, bool FromClient) NextUdp()
    {
        bool fromClient = _answered is null || random.Next(2) == 0;
        PacketBuilder packet = Packet.Of(fromClient ? asked : _answered!.Value).Payload(Data());
        packet = random.Next(5) == 0 ? packet.NoChecksum() : packet; // over IPv6 both ends may have agreed to it (RFC 6936)
        IsOver = random.Next(30) == 0;
        return (Dressed(packet), fromClient);
    }

    private (byte[] Packet, bool FromClient) NextTcp()
    {
        bool fromClient = random.Next(2) == 0;
        PacketBuilder packet;
        switch (_stage)
        {
            case 0:
                (_stage, fromClient) = (1, true);
                packet = Packet.Of(asked).Syn().TcpOptions("0204 05b4 0402 080a 01020304 00000000 01");
                break;
            case 1:
                (_stage, fromClient) = (2, false);
                packet = Packet.Of(_answered!.Value).SynAck().TcpOptions("0204 05b4");
                break;
            case 2:
                (_stage, fromClient) = (3, true);
                (_fromClient, _fromBackend) = (1, 1);
                packet = Packet.Of(asked).Ack();
                break;
            case 3 when random.Next(20) == 0:
                (_stage, fromClient) = (4, true);
                packet = Packet.Of(asked).Fin();
                break;
            case 3 when random.Next(40) == 0:
                IsOver = true;
                packet = Packet.Of(fromClient ? asked : _answered!.Value).Flags(TcpFlags.Rst | TcpFlags.Ack);
                break;
            case 4 when random.Next(3) == 0:
                (_stage, fromClient) = (5, false);
                packet = Packet.Of(_answered!.Value).Fin();
                break;
            case 5:
                (IsOver, fromClient) = (true, true);
                _fromClient++;
                _fromBackend++;
                packet = Packet.Of(asked).Ack();
                break;
            default:
                fromClient &= _stage == 3;
                packet = Packet.Of(fromClient ? asked : _answered!.Value).Flags(TcpFlags.Psh | TcpFlags.Ack);
                byte[] data = Data();
                packet.Payload(data).Numbers(
                    fromClient ? _clientStart + _fromClient : _backendStart + _fromBackend,
                    fromClient ? _backendStart + _fromBackend : _clientStart + _fromClient);
                _fromClient += fromClient ? (uint)data.Length : 0;
                _fromBackend += fromClient ? 0 : (uint)data.Length;
                return (Dressed(packet), fromClient);
        }

        packet.Numbers(
            fromClient ? _clientStart + _fromClient : _backendStart + _fromBackend,
            fromClient ? _backendStart + _fromBackend : _clientStart + (_stage == 2 ? 1 : _fromClient));
        return (Dressed(packet), fromClient);
    }

    /// <summary>From whoever received the packet, or from a router on the way there.</summary>
    private byte[] ErrorAbout(byte[] packet, bool toClient)
    {
        FlowTuple tuple = ReferencePipeline.TupleOf(packet);
        string router = (tuple.IsIpv4, toClient) switch
        {
            (true, true) => "198.18.2.1",
            (true, false) => "198.18.1.1",
            (false, true) => "2001:db8:2::1",
            _ => "2001:db8::ffff",
        };
        string from = random.Next(2) == 0 ? router : tuple.Destination.ToString();
        int least = ReferenceRewriter.TransportOffset(packet, out _) + 8;
        int quoted = Math.Min(random.Next(least, packet.Length + 1), tuple.IsIpv4 ? 548 : 1232);
        PacketBuilder error = random.Next(3) switch
        {
            0 => Packet.PacketTooBig(from, tuple.Source.ToString(), packet, 1400, quoted),
            1 => Packet.TimeExceeded(from, tuple.Source.ToString(), packet, quoted),
            // Port unreachable of a backend ends a UDP flow of ours, which the kernel goes on with.
            _ when tuple.Protocol == IpProtocol.Udp && toClient => Packet.PacketTooBig(from, tuple.Source.ToString(), packet, 1300, quoted),
            _ => Packet.PortUnreachable(from, tuple.Source.ToString(), packet, quoted),
        };
        return error.Ttl((byte)random.Next(2, 256)).Id((ushort)random.Next(65_536));
    }

    private byte[] Dressed(PacketBuilder packet)
    {
        packet.Ttl((byte)random.Next(3, 256)).Id((ushort)random.Next(65_536));
        if (asked.IsIpv4)
        {
            return random.Next(8) switch
            {
                0 => packet.IpOptions("9404 0000"), // router alert
                1 => packet.IpOptions("0101 0101"),
                2 => packet.IpOptions("07 0b 04 00000000 00000000 00"), // record route, room for two
                _ => packet,
            };
        }

        return random.Next(8) switch
        {
            0 => packet.HopByHop(),
            1 => packet.DestinationOptions(16),
            2 => packet.HopByHop().DestinationOptions(24), // a router refuses hop-by-hop padding of more than seven bytes
            3 => packet.Routing(),
            _ => packet,
        };
    }

    private byte[] Data()
    {
        var data = new byte[random.Next(4) switch { 0 => 0, 1 => random.Next(3), _ => random.Next(600) }];
        switch (random.Next(4))
        {
            case 0:
                break;
            case 1:
                Array.Fill(data, (byte)0xFF); // the sums at which one's complement is subtle
                break;
            default:
                random.NextBytes(data);
                break;
        }

        return data;
    }
}
