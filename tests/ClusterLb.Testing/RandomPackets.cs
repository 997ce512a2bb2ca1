using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Testing;

/// <summary>Valid packets of every kind the dataplane knows, made from a seed.</summary>
public sealed class RandomPackets(int seed)
{
    private static readonly IpProtocol[] Transports = [IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Sctp];

    private readonly Random _random = new(seed);

    /// <summary>A random number below a bound, from the same seed.</summary>
    public int Next(int bound) => _random.Next(bound);

    /// <summary>A whole packet: TCP, UDP, SCTP or ping, IPv4 or IPv6, sometimes with options or extension headers.</summary>
    public PacketBuilder Whole()
    {
        bool isIpv4 = _random.Next(2) == 0;
        FlowTuple tuple = Tuple(isIpv4, Transports[_random.Next(Transports.Length)]);
        PacketBuilder packet = _random.Next(8) == 0
            ? Packet.Echo(tuple.Source.ToString(), tuple.Destination.ToString(), tuple.SourcePort)
            : Packet.Of(tuple);
        packet.Payload(Bytes(_random.Next(4) == 0 ? 0 : _random.Next(80)))
            .Ttl((byte)_random.Next(1, 256))
            .Flags((TcpFlags)_random.Next(256))
            .Numbers((uint)_random.NextInt64(1L << 32), (uint)_random.NextInt64(1L << 32));
        if (_random.Next(4) == 0)
        {
            packet.TcpOptions("0204 05b4 0402 080a 01020304 05060708 01");
        }

        return isIpv4 ? WithOptions(packet) : WithExtensions(packet);
    }

    /// <summary>Any packet: whole ones, first and later fragments, ICMP errors that quote more or less.</summary>
    public byte[] Any()
    {
        PacketBuilder whole = Whole();
        switch (_random.Next(6))
        {
            case 0:
                IReadOnlyList<byte[]> pieces = whole.Payload(Bytes(100)).Fragments(48, (uint)_random.Next());
                return pieces[_random.Next(pieces.Count)];
            case 1:
                return IcmpErrorAbout(whole.ToBytes());
            default:
                return whole.ToBytes();
        }
    }

    /// <summary>An ICMP error about a packet, from its destination or from a router, quoting a random part.</summary>
    public byte[] IcmpErrorAbout(byte[] packet)
    {
        bool isIpv4 = packet[0] >> 4 == 4;
        string target = (isIpv4 ? IpAddr.ReadIpv4(packet.AsSpan(12)) : IpAddr.ReadIpv6(packet.AsSpan(8))).ToString();
        IpAddr destination = isIpv4 ? IpAddr.ReadIpv4(packet.AsSpan(16)) : IpAddr.ReadIpv6(packet.AsSpan(24));
        string complainer = (_random.Next(2) == 0 ? destination : Address(isIpv4)).ToString();
        int least = ReferenceRewriter.TransportOffset(packet, out _) + 8;
        int quoted = _random.Next(3) == 0 ? least : _random.Next(least, packet.Length + 1);
        return _random.Next(3) switch
        {
            0 => Packet.PortUnreachable(complainer, target, packet, quoted),
            1 => Packet.PacketTooBig(complainer, target, packet, 1400, quoted),
            _ => Packet.TimeExceeded(complainer, target, packet, quoted),
        };
    }

    /// <summary>Another tuple of the same family and protocol; sometimes only one part of it differs.</summary>
    public FlowTuple Other(FlowTuple tuple)
    {
        FlowTuple other = Tuple(tuple.IsIpv4, tuple.Protocol);
        other = _random.Next(4) switch
        {
            0 => tuple with { Destination = other.Destination, DestinationPort = other.DestinationPort },
            1 => tuple with { Source = other.Source },
            2 => tuple with { SourcePort = other.SourcePort },
            _ => other,
        };
        bool isPing = tuple.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        return isPing ? other with { DestinationPort = other.SourcePort } : other;
    }

    /// <summary>Random addresses and ports; edge values (0, 0xFFFF and their like) often.</summary>
    public FlowTuple Tuple(bool isIpv4, IpProtocol protocol) => new(Address(isIpv4), Address(isIpv4), Port(), Port(), protocol);

    /// <summary>Random bytes, sometimes all zero or all ones: the values at which one's complement sums are subtle.</summary>
    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        switch (_random.Next(5))
        {
            case 0:
                break;
            case 1:
                Array.Fill(bytes, (byte)0xFF);
                break;
            default:
                _random.NextBytes(bytes);
                break;
        }

        return bytes;
    }

    private static PacketBuilder Repeat(PacketBuilder packet, int times, Func<PacketBuilder, PacketBuilder> change)
    {
        for (int i = 0; i < times; i++)
        {
            packet = change(packet);
        }

        return packet;
    }

    private ushort Port() => _random.Next(8) switch
    {
        0 => 0,
        1 => ushort.MaxValue,
        _ => (ushort)_random.Next(65536),
    };

    private IpAddr Address(bool isIpv4)
    {
        // The first byte keeps clear of multicast and of the IPv4-mapped form.
        if (isIpv4)
        {
            uint low = _random.Next(6) == 0 ? 0u : _random.Next(6) == 0 ? 0x00FF_FFFFu : (uint)_random.Next(1 << 24);
            return IpAddr.FromIpv4(((uint)_random.Next(1, 224) << 24) | low);
        }

        ulong half = _random.Next(6) == 0 ? 0ul : _random.Next(6) == 0 ? ulong.MaxValue : (ulong)_random.NextInt64();
        return IpAddr.FromIpv6(0xFD00_0000_0000_0000 | (uint)_random.Next(1 << 20), half);
    }

    private PacketBuilder WithOptions(PacketBuilder packet) => _random.Next(4) switch
    {
        0 => packet.IpOptions("9404 0000"), // router alert
        1 => packet.IpOptions("0107 0704 00000000"),
        _ => packet,
    };

    private PacketBuilder WithExtensions(PacketBuilder packet)
    {
        if (_random.Next(3) != 0)
        {
            return packet;
        }

        packet = Repeat(packet, _random.Next(2), p => p.HopByHop(8 * _random.Next(1, 4)));
        packet = Repeat(packet, _random.Next(2), p => p.Routing());
        packet = Repeat(packet, _random.Next(2), p => p.FragmentHeader());
        return Repeat(packet, _random.Next(2), p => p.DestinationOptions(8 * _random.Next(1, 4)));
    }
}
