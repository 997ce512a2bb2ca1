using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

/// <summary>Mutated packets through everything that reads or writes packets. One seed, one sequence.</summary>
/// <remarks>
/// After each step the bytes that it may change are put back, and then all must be as before, guard bytes around the packet
/// included: so "nothing else changed" is checked without knowing what was written.
/// </remarks>
internal sealed class PacketFuzz
{
    private const int Guard = 64; // bytes on each side
    private const byte GuardByte = 0xA5;
    private const int MaxPacket = 2048;

    private static readonly byte[] EdgeBytes = [0, 1, 4, 5, 6, 17, 0x2C, 0x33, 0x3C, 0x45, 0x46, 0x4F, 0x60, 0x7F, 0x80, 0xFE, 0xFF];

    private readonly int _seed;
    private readonly Random _random;
    private readonly byte[][] _corpus;
    private readonly byte[] _before = new byte[Guard + MaxPacket + Guard];
    private readonly byte[] _after = new byte[Guard + MaxPacket + Guard];
    private readonly long[] _reasons = new long[256];
    private int _length;

    public PacketFuzz(int seed)
    {
        _seed = seed;
        _random = new Random(seed);
        var packets = new RandomPackets(seed);
        _corpus = [.. Enumerable.Range(0, 2000).Select(_ => packets.Any())];
    }

    /// <summary>How many packets were parsed with this answer.</summary>
    public long Count(DropReason reason) => _reasons[(int)reason];

    /// <summary>ICMP errors whose embedded packet was translated.</summary>
    public long TranslatedErrors { get; private set; }

    /// <summary>Packets that were answered.</summary>
    public long Answers { get; private set; }

    public void Run(long count)
    {
        for (long i = 0; i < count; i++)
        {
            Mutate();
            try
            {
                Check();
            }
            catch (Exception e)
            {
                string hex = Convert.ToHexString(_before.AsSpan(Guard, _length));
                throw new InvalidOperationException($"seed {_seed}, packet {i}: {hex}: {e.Message}", e);
            }
        }
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidOperationException(what);
        }
    }

    private void Check()
    {
        Span<byte> packet = _after.AsSpan(Guard, _length);
        DropReason reason = PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at);
        _reasons[(int)reason]++;
        bool isPlain = reason == DropReason.None && at.IcmpKind == IcmpKind.None && !at.IsFragment
            && at.TransportOffset == (at.IsIpv4 ? Ipv4Header.MinLength : Ipv6Header.HeaderLength);
        CheckGlance<FlowKey4>(packet, tuple, isPlain && at.IsIpv4);
        CheckGlance<FlowKey6>(packet, tuple, isPlain && !at.IsIpv4);
        Require(_after.AsSpan().SequenceEqual(_before), "the parser wrote");
        if (reason != DropReason.None)
        {
            return;
        }

        Require(at.TotalLength <= _length && at.TransportOffset <= at.TotalLength, "offsets outside of the packet");
        CheckRewrite(packet, at, tuple, partialChecksum: _random.Next(2) == 0);
        CheckIcmpError(packet, at, tuple);
        CheckReject(at, tuple);
    }

    /// <summary>In a plain packet the glance sees what the parser sees; in any other whatever it likes.</summary>
    private static void CheckGlance<TKey>(ReadOnlySpan<byte> packet, in FlowTuple tuple, bool isPlain)
        where TKey : unmanaged, IFlowKey<TKey>
    {
        bool isSeen = TKey.TryGlance(packet, out TKey key, out IpProtocol protocol);
        Require(!isPlain || (isSeen && protocol == tuple.Protocol && key.Matches(TKey.From(tuple))), "the glance saw another flow");
    }

    private void CheckRewrite(Span<byte> packet, in HeaderOffsets at, in FlowTuple tuple, bool partialChecksum)
    {
        FlowTuple to = Other(tuple);
        AddressRewriter.Rewrite(packet, at, tuple, to, partialChecksum);

        DropReason reason = PacketParser.Parse(packet, out FlowTuple read, out HeaderOffsets atAfter);
        Require(reason == DropReason.None && at.Equals(atAfter), "the rewritten packet parses differently");
        bool hasPorts = !at.IsLaterFragment && at.IcmpKind is IcmpKind.None or IcmpKind.EchoRequest or IcmpKind.EchoReply;
        Require(read == (hasPorts ? to : to with { SourcePort = 0, DestinationPort = 0 }), "the rewritten packet has another tuple");

        PutBackHeaders(Guard, at, withHop: true);
        Require(_after.AsSpan().SequenceEqual(_before), "rewriting changed more than it may");
    }

    private void CheckIcmpError(Span<byte> packet, in HeaderOffsets at, in FlowTuple tuple)
    {
        if (!at.IsIcmpError
            || PacketParser.ParseEmbedded(packet, at, tuple, out FlowTuple embedded, out HeaderOffsets embeddedAt) != DropReason.None)
        {
            return;
        }

        TranslatedErrors++;
        FlowTuple translated = Other(embedded);
        IcmpErrorNat.Rewrite(packet, at, tuple, embeddedAt, embedded, translated, partialChecksum: false);

        PutBackHeaders(Guard, at, withHop: true);
        PutBackHeaders(Guard + at.EmbeddedOffset, embeddedAt, withHop: false);
        Require(_after.AsSpan().SequenceEqual(_before), "translating an ICMP error changed more than it may");
    }

    private void CheckReject(in HeaderOffsets at, in FlowTuple tuple)
    {
        int room = _random.Next(4) == 0 ? _length : Math.Min(MaxPacket, Math.Max(_length, RejectReply.MaxLength));
        int length = RejectReply.Build(_after.AsSpan(Guard, room), at, tuple);
        Span<byte> around = _after.AsSpan(Guard + Math.Max(length, _length));
        Require(around.SequenceEqual(_before.AsSpan(Guard + Math.Max(length, _length))), "an answer is longer than it says");
        Require(_after.AsSpan(0, Guard).SequenceEqual(_before.AsSpan(0, Guard)), "an answer begins too early");
        if (length == 0)
        {
            Require(_after.AsSpan().SequenceEqual(_before), "no answer, but the packet changed");
            return;
        }

        Answers++;
        Require(length <= Math.Min(room, RejectReply.MaxLength), "an answer is too long");
        Span<byte> answer = _after.AsSpan(Guard, length);
        DropReason reason = PacketParser.Parse(answer, out FlowTuple answered, out HeaderOffsets answerAt);
        Require(reason == DropReason.None && answerAt.TotalLength == length, "an answer does not parse");
        Require(answered.Source == tuple.Destination && answered.Destination == tuple.Source, "an answer goes elsewhere");
        Require(TransportChecksum.Check(answer, answerAt, answered) == ChecksumState.Valid, "an answer's checksum is wrong");
    }

    /// <summary>Copies the fields back that a rewrite may change.</summary>
    private void PutBackHeaders(int start, in HeaderOffsets at, bool withHop)
    {
        if (at.IsIpv4)
        {
            PutBack(start + 10, 10); // checksum and addresses
        }
        else
        {
            PutBack(start + 8, 32);
        }

        if (withHop)
        {
            PutBack(start + (at.IsIpv4 ? 8 : 7), 1);
        }

        if (at.IsLaterFragment)
        {
            return;
        }

        int transport = start + at.TransportOffset;
        int end = start + at.TotalLength;
        switch (at.Protocol)
        {
            case IpProtocol.Tcp:
                PutBack(transport, 4);
                PutBack(transport + 16, Math.Clamp(end - transport - 16, 0, 2));
                break;
            case IpProtocol.Udp:
                PutBack(transport, 4);
                PutBack(transport + 6, 2);
                break;
            case IpProtocol.Sctp:
                PutBack(transport, 4);
                PutBack(transport + 8, withHop ? 4 : 0);
                break;
            default:
                PutBack(transport + 2, withHop ? 2 : 0);
                PutBack(transport + 4, withHop && at.IcmpKind is IcmpKind.EchoRequest or IcmpKind.EchoReply ? 2 : 0);
                break;
        }
    }

    private void PutBack(int offset, int count) => _before.AsSpan(offset, count).CopyTo(_after.AsSpan(offset));

    private FlowTuple Other(in FlowTuple tuple)
    {
        ushort port = (ushort)_random.Next(65536);
        ushort otherPort = tuple.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 ? port : (ushort)_random.Next(65536);
        return tuple.IsIpv4
            ? new(IpAddr.FromIpv4((uint)_random.Next()), IpAddr.FromIpv4((uint)_random.Next()), port, otherPort, tuple.Protocol)
            : new(Ipv6(), Ipv6(), port, otherPort, tuple.Protocol);
    }

    private IpAddr Ipv6() => IpAddr.FromIpv6(0xFD00_0000_0000_0000 | (uint)_random.Next(), (ulong)_random.NextInt64());

    private void Mutate()
    {
        byte[] original = _corpus[_random.Next(_corpus.Length)];
        Array.Fill(_before, GuardByte);
        Span<byte> packet = _before.AsSpan(Guard, MaxPacket);
        original.CopyTo(packet);
        _length = original.Length;

        for (int mutations = _random.Next(5); mutations > 0; mutations--)
        {
            MutateOnce(packet);
        }

        packet = packet[.._length];
        if (_random.Next(4) != 0)
        {
            RepairLengthAndChecksum(packet);
        }

        _before.CopyTo(_after, 0);
    }

    private void MutateOnce(Span<byte> packet)
    {
        if (_length == 0)
        {
            return;
        }

        // Headers are where it matters: most mutations hit the first bytes.
        int at = _random.Next(3) == 0 ? _random.Next(_length) : _random.Next(Math.Min(_length, 100));
        switch (_random.Next(7))
        {
            case 0:
                packet[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1:
                packet[at] = (byte)_random.Next(256);
                break;
            case 2:
                packet[at] = EdgeBytes[_random.Next(EdgeBytes.Length)];
                break;
            case 3:
                packet[at.._length].Fill((byte)_random.Next(256));
                break;
            case 4:
                packet[at.._length].Fill(GuardByte);
                _length = at; // cut off
                break;
            case 5:
                int more = _random.Next(Math.Min(200, MaxPacket - _length));
                packet.Slice(_length, more).Fill((byte)_random.Next(256));
                _length += more;
                break;
            default:
                int from = _random.Next(_length);
                int count = Math.Min(_random.Next(1, 41), _length - Math.Max(at, from));
                packet.Slice(from, count).CopyTo(packet[at..]); // a header where another one was
                break;
        }
    }

    /// <summary>So that mutations get past the first checks.</summary>
    private void RepairLengthAndChecksum(Span<byte> packet)
    {
        if (packet.Length >= 40 && packet[0] >> 4 == 6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - 40));
        }
        else if (packet.Length >= 20 && packet[0] >> 4 == 4)
        {
            int headerLength = Math.Min(packet.Length, Math.Max(20, (packet[0] & 15) * 4));
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            packet[10..12].Clear();
            ushort checksum = InternetChecksum.Finish(InternetChecksum.Sum(packet[..headerLength]));
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], checksum);
        }
    }
}
