using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Testing;

/// <summary>Where packets for tests begin: <c>Packet.Tcp("10.0.0.9:41000", "10.96.0.10:80").Syn()</c>.</summary>
/// <remarks>Endpoints are <c>address:port</c> or <c>[address]:port</c>; both of one family.</remarks>
public static class Packet
{
    /// <summary>A TCP segment, by default with ACK only.</summary>
    public static PacketBuilder Tcp(string source, string destination) => new(IpProtocol.Tcp, source, destination);

    /// <summary>A UDP datagram, by default without data.</summary>
    public static PacketBuilder Udp(string source, string destination) => new(IpProtocol.Udp, source, destination);

    /// <summary>An SCTP packet; the payload is its chunks.</summary>
    public static PacketBuilder Sctp(string source, string destination) => new(IpProtocol.Sctp, source, destination);

    /// <summary>A packet with a given tuple.</summary>
    public static PacketBuilder Of(FlowTuple tuple) => new(
        tuple.Protocol, tuple.Source.WithPort(tuple.SourcePort), tuple.Destination.WithPort(tuple.DestinationPort));

    /// <summary>A ping.</summary>
    public static PacketBuilder Echo(string source, string destination, ushort identifier = 77, ushort sequence = 1) =>
        Icmp(source, destination, 8, 128, 0, ((uint)identifier << 16) | sequence);

    /// <summary>The answer to a ping.</summary>
    public static PacketBuilder EchoReply(string source, string destination, ushort identifier = 77, ushort sequence = 1) =>
        Icmp(source, destination, 0, 129, 0, ((uint)identifier << 16) | sequence);

    /// <summary>Destination unreachable, port unreachable, about a packet.</summary>
    public static PacketBuilder PortUnreachable(string source, string destination, byte[] about, int quotedBytes = 1000) =>
        IcmpError(source, destination, 3, 1, IsIpv4(source) ? (byte)3 : (byte)4, 0, about, quotedBytes);

    /// <summary>Fragmentation needed (IPv4) or packet too big (IPv6), about a packet.</summary>
    public static PacketBuilder PacketTooBig(string source, string destination, byte[] about, ushort mtu, int quotedBytes = 1000) =>
        IcmpError(source, destination, 3, 2, IsIpv4(source) ? (byte)4 : (byte)0, mtu, about, quotedBytes);

    /// <summary>Time exceeded in transit, about a packet.</summary>
    public static PacketBuilder TimeExceeded(string source, string destination, byte[] about, int quotedBytes = 1000) =>
        IcmpError(source, destination, 11, 3, 0, 0, about, quotedBytes);

    /// <summary>Any ICMP message, of the type for the family that the addresses have.</summary>
    /// <param name="source">An address without port.</param>
    /// <param name="destination">An address without port.</param>
    /// <param name="typeV4">Type if IPv4.</param>
    /// <param name="typeV6">Type if IPv6.</param>
    /// <param name="code">Code.</param>
    /// <param name="rest">Bytes 4 to 7 of the header.</param>
    public static PacketBuilder Icmp(string source, string destination, byte typeV4, byte typeV6, byte code, uint rest)
    {
        bool isIpv4 = IsIpv4(source);
        var builder = new PacketBuilder(isIpv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6, IpAddr.Parse(source), IpAddr.Parse(destination));
        return builder.IcmpHeader(isIpv4 ? typeV4 : typeV6, code, rest);
    }

    /// <summary>Any protocol number, to see it refused.</summary>
    public static PacketBuilder Raw(byte protocol, string source, string destination) =>
        new((IpProtocol)protocol, IpAddr.Parse(source), IpAddr.Parse(destination));

    /// <summary>Bytes from hexadecimal text with blanks.</summary>
    public static byte[] Bytes(string hex) => Convert.FromHexString(string.Concat(hex.Where(c => !char.IsWhiteSpace(c))));

    private static PacketBuilder IcmpError(
        string source, string destination, byte typeV4, byte typeV6, byte code, uint rest, byte[] about, int quotedBytes) =>
        Icmp(source, destination, typeV4, typeV6, code, rest).Payload(about[..Math.Min(quotedBytes, about.Length)]);

    private static bool IsIpv4(string address) => IpAddr.Parse(address).IsIpv4;
}
