using System.Buffers.Binary;
using System.Text;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Testing;

/// <summary>A packet in the making; converts to bytes with all checksums right unless told otherwise.</summary>
/// <remarks>Written without any code of the dataplane's packet path, so that both can be compared.</remarks>
public sealed partial class PacketBuilder
{
    private readonly IpProtocol _protocol;
    private readonly IpAddr _source;
    private readonly IpAddr _destination;
    private readonly ushort _sourcePort;
    private readonly ushort _destinationPort;
    private readonly List<(byte Type, byte[] Body)> _extensions = [];

    private byte _ttl = 64;
    private ushort _id = 1;
    private byte[] _ipOptions = [];
    private byte[] _tcpOptions = [];
    private byte[] _payload = [];
    private byte[]? _rawTransport;
    private TcpFlags _flags = TcpFlags.Ack;
    private uint _sequence = 1000;
    private uint _acknowledgement = 2000;
    private uint _tag = 0xC0FFEE01;
    private (byte Type, byte Code, uint Word) _icmp;
    private ChecksumKind _checksum;

    /// <summary>A packet between two <c>address:port</c>.</summary>
    public PacketBuilder(IpProtocol protocol, string source, string destination)
    {
        _protocol = protocol;
        (_source, _sourcePort) = ParseEndpoint(source);
        (_destination, _destinationPort) = ParseEndpoint(destination);
    }

    /// <summary>A packet without ports.</summary>
    public PacketBuilder(IpProtocol protocol, IpAddr source, IpAddr destination)
    {
        _protocol = protocol;
        _source = source;
        _destination = destination;
    }

    private enum ChecksumKind
    {
        Full,
        None,
        Wrong,
        Partial,
    }

    /// <summary>SYN only.</summary>
    public PacketBuilder Syn() => Flags(TcpFlags.Syn);

    /// <summary>SYN and ACK.</summary>
    public PacketBuilder SynAck() => Flags(TcpFlags.Syn | TcpFlags.Ack);

    /// <summary>ACK only.</summary>
    public PacketBuilder Ack() => Flags(TcpFlags.Ack);

    /// <summary>FIN and ACK.</summary>
    public PacketBuilder Fin() => Flags(TcpFlags.Fin | TcpFlags.Ack);

    /// <summary>RST only.</summary>
    public PacketBuilder Rst() => Flags(TcpFlags.Rst);

    /// <summary>PSH, ACK and data.</summary>
    public PacketBuilder Push(string data) => Flags(TcpFlags.Psh | TcpFlags.Ack).Payload(data);

    /// <summary>Any control bits.</summary>
    public PacketBuilder Flags(TcpFlags flags) => With(() => _flags = flags);

    /// <summary>TCP numbers.</summary>
    public PacketBuilder Numbers(uint sequence, uint acknowledgement) =>
        With(() => (_sequence, _acknowledgement) = (sequence, acknowledgement));

    /// <summary>SCTP: the verification tag.</summary>
    public PacketBuilder Tag(uint tag) => With(() => _tag = tag);

    /// <summary>TCP options; padded to a multiple of four bytes with zeros.</summary>
    public PacketBuilder TcpOptions(string hex) => With(() => _tcpOptions = Padded(Packet.Bytes(hex), 4));

    /// <summary>Data behind the transport header.</summary>
    public PacketBuilder Payload(byte[] payload) => With(() => _payload = payload);

    /// <summary>Data behind the transport header.</summary>
    public PacketBuilder Payload(string text) => Payload(Encoding.UTF8.GetBytes(text));

    /// <summary>Data of a length: bytes that count up.</summary>
    public PacketBuilder Payload(int length) => Payload([.. Enumerable.Range(0, length).Select(i => (byte)i)]);

    /// <summary>These bytes behind the IP header, whatever the protocol.</summary>
    public PacketBuilder RawTransport(byte[] transport) => With(() => _rawTransport = transport);

    /// <summary>TTL or hop limit; 64 unless said.</summary>
    public PacketBuilder Ttl(byte ttl) => With(() => _ttl = ttl);

    /// <summary>IPv4 identification, also that of its fragments.</summary>
    public PacketBuilder Id(ushort id) => With(() => _id = id);

    /// <summary>IPv4 options; padded to a multiple of four bytes with zeros.</summary>
    public PacketBuilder IpOptions(string hex) => With(() => _ipOptions = Padded(Packet.Bytes(hex), 4));

    /// <summary>An IPv6 hop-by-hop options header with padding only.</summary>
    public PacketBuilder HopByHop(int lengthBytes = 8) => Extension(0, OptionsBody(lengthBytes));

    /// <summary>An IPv6 destination options header with padding only.</summary>
    public PacketBuilder DestinationOptions(int lengthBytes = 8) => Extension(60, OptionsBody(lengthBytes));

    /// <summary>An IPv6 routing header.</summary>
    public PacketBuilder Routing(byte segmentsLeft = 0) =>
        Extension(43, [0, 2, 4, segmentsLeft, 0, 0, 0, 0, .. new byte[16]]);

    /// <summary>An IPv6 fragment header; by default that of an atomic fragment.</summary>
    public PacketBuilder FragmentHeader(int offsetBytes = 0, bool more = false, uint id = 1) => Extension(
        44,
        [0, 0, (byte)(offsetBytes >> 8), (byte)((offsetBytes & 0xF8) | (more ? 1 : 0)),
            (byte)(id >> 24), (byte)(id >> 16), (byte)(id >> 8), (byte)id]);

    /// <summary>Any IPv6 extension header; its first byte is filled in with the next header.</summary>
    public PacketBuilder Extension(byte type, byte[] body) => With(() => _extensions.Add((type, body)));

    /// <summary>UDP checksum 0.</summary>
    public PacketBuilder NoChecksum() => With(() => _checksum = ChecksumKind.None);

    /// <summary>A wrong transport checksum.</summary>
    public PacketBuilder WrongChecksum() => With(() => _checksum = ChecksumKind.Wrong);

    /// <summary>The sum of the pseudo header where the transport checksum belongs (virtio_net_hdr with NEEDS_CSUM).</summary>
    public PacketBuilder PartialChecksum() => With(() => _checksum = ChecksumKind.Partial);

    internal PacketBuilder IcmpHeader(byte type, byte code, uint rest) => With(() => _icmp = (type, code, rest));

    /// <summary>Splits an <c>address:port</c>.</summary>
    public static (IpAddr Address, ushort Port) ParseEndpoint(string text)
    {
        int colon = text.LastIndexOf(':');
        return (IpAddr.Parse(text[..colon].Trim('[', ']')), ushort.Parse(text[(colon + 1)..]));
    }

    private static byte[] OptionsBody(int lengthBytes)
    {
        var body = new byte[lengthBytes];
        body[1] = (byte)((lengthBytes / 8) - 1);
        if (lengthBytes > 3)
        {
            body[2] = 1; // PadN
            body[3] = (byte)Math.Min(255, lengthBytes - 4);
        }

        return body;
    }

    private static byte[] Padded(byte[] bytes, int unit) => [.. bytes, .. new byte[(unit - (bytes.Length % unit)) % unit]];

    private PacketBuilder With(Action change)
    {
        change();
        return this;
    }
}
