using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class InternetChecksumTests
{
    [Fact]
    public void Example_of_RFC_1071_sums_to_ddf2() =>
        Assert.Equal(0xDDF2, InternetChecksum.Fold(InternetChecksum.Sum(Packet.Bytes("0001 f203 f4f5 f6f7"))));

    [Fact]
    public void Example_of_RFC_1624_yields_zero_and_not_ffff() =>
        Assert.Equal(0x0000, InternetChecksum.Update(0xDD2F, InternetChecksum.Difference(0x5555u, 0x3285u)));

    [Theory]
    [InlineData(0ul, 0)]
    [InlineData(0xFFFFul, 0xFFFF)]
    [InlineData(0x1_0000ul, 1)]
    [InlineData(0x1_FFFE_FFFFul, 0xFFFF)]
    [InlineData(ulong.MaxValue, 0xFFFF)]
    public void Fold_carries_around(ulong sum, int folded) => Assert.Equal(folded, InternetChecksum.Fold(sum));

    [Fact]
    public void Sum_matches_the_reference_for_every_length()
    {
        var packets = new RandomPackets(1071);
        for (int length = 0; length < 2000; length++)
        {
            byte[] bytes = packets.Bytes(length);
            Assert.Equal(ReferenceChecksum.Sum(0, bytes), InternetChecksum.Fold(InternetChecksum.Sum(bytes)));
        }
    }

    [Fact]
    public void Sum_of_the_longest_packet_does_not_overflow()
    {
        var ones = new byte[65535];
        Array.Fill(ones, (byte)0xFF);
        Assert.Equal(ReferenceChecksum.Compute(ones), InternetChecksum.Finish(InternetChecksum.Sum(ones)));
    }

    [Fact]
    public void Update_matches_a_full_recomputation()
    {
        const int Seed = 1624;
        var packets = new RandomPackets(Seed);
        for (int i = 0; i < 100_000; i++)
        {
            byte[] header = [1, .. packets.Bytes(19)]; // a header is never all zero
            ushort before = ReferenceChecksum.Compute(header);
            int at = 4 + (4 * packets.Next(4));
            uint oldWord = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(at));
            packets.Bytes(4).CopyTo(header, at);
            uint newWord = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(at));

            ushort want = ReferenceChecksum.Compute(header);
            ushort got = InternetChecksum.Update(before, InternetChecksum.Difference(oldWord, newWord));

            Assert.True(want == got, $"seed {Seed}, case {i}, {oldWord:x8} -> {newWord:x8}: got {got:x4}, want {want:x4}");
        }
    }

    [Theory]
    [InlineData("10.0.0.9", "10.96.0.10")]
    [InlineData("fd00::9", "fd96::ffff:a")]
    public void Pseudo_header_matches_the_reference(string source, string destination)
    {
        (IpAddr from, IpAddr to) = (IpAddr.Parse(source), IpAddr.Parse(destination));
        var fromBytes = new byte[from.ByteLength];
        var toBytes = new byte[to.ByteLength];
        from.WriteTo(fromBytes);
        to.WriteTo(toBytes);

        Assert.Equal(
            ReferenceChecksum.PseudoHeader(fromBytes, toBytes, 6, 65535),
            InternetChecksum.Fold(InternetChecksum.PseudoHeader(from, to, IpProtocol.Tcp, 65535)));
    }
}
