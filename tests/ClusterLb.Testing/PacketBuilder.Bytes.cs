using System.Buffers.Binary;
using ClusterLb.Dataplane;

namespace ClusterLb.Testing;

/// <summary>From the builder's fields to bytes.</summary>
public sealed partial class PacketBuilder
{
    private byte[] Source => AddressBytes(_source);

    private byte[] Destination => AddressBytes(_destination);

    /// <summary>The bytes.</summary>
    public static implicit operator byte[](PacketBuilder builder) => builder.ToBytes();

    /// <summary>The bytes, from the first of the IP header.</summary>
    public byte[] ToBytes()
    {
        byte[] transport = Transport();
        return _source.IsIpv4 ? Ipv4(transport, 0x4000) : Ipv6(transport, _extensions);
    }

    /// <summary>The same datagram in pieces.</summary>
    /// <param name="payloadBytes">Of each piece but the last; a multiple of eight.</param>
    /// <param name="id">Identification.</param>
    public IReadOnlyList<byte[]> Fragments(int payloadBytes, uint id = 1)
    {
        byte[] transport = Transport();
        var fragments = new List<byte[]>();
        for (int offset = 0; offset < transport.Length; offset += payloadBytes)
        {
            byte[] piece = transport[offset..Math.Min(transport.Length, offset + payloadBytes)];
            bool more = offset + piece.Length < transport.Length;
            fragments.Add(Fragment(piece, offset, more, id));
        }

        return fragments;
    }

    private static byte[] AddressBytes(IpAddr address)
    {
        var bytes = new byte[address.ByteLength];
        address.WriteTo(bytes);
        return bytes;
    }

    private byte[] Fragment(byte[] piece, int offset, bool more, uint id)
    {
        if (_source.IsIpv4)
        {
            _id = (ushort)id;
            return Ipv4(piece, (ushort)((offset / 8) | (more ? 0x2000 : 0)));
        }

        byte[] header = [0, 0, (byte)(offset >> 8), (byte)((offset & 0xF8) | (more ? 1 : 0)),
            (byte)(id >> 24), (byte)(id >> 16), (byte)(id >> 8), (byte)id];
        return Ipv6(piece, [.. _extensions, (44, header)]);
    }

    private byte[] Ipv4(byte[] transport, ushort fragmentWord)
    {
        var header = new byte[20 + _ipOptions.Length];
        header[0] = (byte)(0x40 | (header.Length / 4));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)(header.Length + transport.Length));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), _id);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), fragmentWord);
        header[8] = _ttl;
        header[9] = (byte)_protocol;
        Source.CopyTo(header, 12);
        Destination.CopyTo(header, 16);
        _ipOptions.CopyTo(header, 20);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), ReferenceChecksum.Compute(header));
        return [.. header, .. transport];
    }

    private byte[] Ipv6(byte[] transport, List<(byte Type, byte[] Body)> extensions)
    {
        var chain = new List<byte>();
        for (int i = 0; i < extensions.Count; i++)
        {
            byte next = i + 1 < extensions.Count ? extensions[i + 1].Type : (byte)_protocol;
            chain.AddRange([next, .. extensions[i].Body[1..]]);
        }

        var header = new byte[40];
        header[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)(chain.Count + transport.Length));
        header[6] = extensions.Count > 0 ? extensions[0].Type : (byte)_protocol;
        header[7] = _ttl;
        Source.CopyTo(header, 8);
        Destination.CopyTo(header, 24);
        return [.. header, .. chain, .. transport];
    }

    private byte[] Transport()
    {
        if (_rawTransport is not null)
        {
            return _rawTransport;
        }

        switch (_protocol)
        {
            case IpProtocol.Tcp:
                return WithChecksum(TcpHeader(), 16);
            case IpProtocol.Udp:
                return WithChecksum(UdpHeader(), 6);
            case IpProtocol.Sctp:
                return WithCrc(SctpHeader());
            case IpProtocol.Icmp or IpProtocol.IcmpV6:
                var icmp = new byte[8];
                (icmp[0], icmp[1]) = (_icmp.Type, _icmp.Code);
                BinaryPrimitives.WriteUInt32BigEndian(icmp.AsSpan(4), _icmp.Word);
                return WithChecksum(icmp, 2);
            default:
                return _payload;
        }
    }

    private byte[] TcpHeader()
    {
        var header = new byte[20 + _tcpOptions.Length];
        WritePorts(header);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), _sequence);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(8), _acknowledgement);
        header[12] = (byte)(header.Length / 4 << 4);
        header[13] = (byte)_flags;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(14), 64240);
        _tcpOptions.CopyTo(header, 20);
        return header;
    }

    private byte[] UdpHeader()
    {
        var header = new byte[8];
        WritePorts(header);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)(header.Length + _payload.Length));
        return header;
    }

    private byte[] SctpHeader()
    {
        var header = new byte[12];
        WritePorts(header);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), _tag);
        return header;
    }

    private void WritePorts(byte[] header)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header, _sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), _destinationPort);
    }

    private byte[] WithChecksum(byte[] header, int offset)
    {
        byte[] transport = [.. header, .. _payload];
        ushort pseudoHeader = _protocol == IpProtocol.Icmp
            ? (ushort)0
            : ReferenceChecksum.PseudoHeader(Source, Destination, (byte)_protocol, transport.Length);
        ushort full = (ushort)~ReferenceChecksum.Sum(pseudoHeader, transport);
        if (full == 0 && _protocol == IpProtocol.Udp)
        {
            full = 0xFFFF;
        }

        ushort checksum = _checksum switch
        {
            ChecksumKind.None => 0,
            ChecksumKind.Wrong => (ushort)(full ^ 0x5A5A),
            ChecksumKind.Partial => pseudoHeader,
            _ => full,
        };
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(offset), checksum);
        return transport;
    }

    private byte[] WithCrc(byte[] header)
    {
        byte[] transport = [.. header, .. _payload];
        uint full = ReferenceChecksum.Crc32c(transport);
        uint crc = _checksum switch
        {
            ChecksumKind.None or ChecksumKind.Partial => 0,
            ChecksumKind.Wrong => ~full,
            _ => full,
        };
        BinaryPrimitives.WriteUInt32LittleEndian(transport.AsSpan(8), crc);
        return transport;
    }
}
