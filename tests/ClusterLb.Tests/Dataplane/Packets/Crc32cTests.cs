using System.Buffers.Binary;
using System.Text;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class Crc32cTests
{
    [Fact]
    public void Check_value_of_the_catalogue() =>
        Assert.Equal(0xE306_9283u, Crc32c.Compute(Encoding.ASCII.GetBytes("123456789")));

    [Fact]
    public void Compute_matches_the_reference_for_every_length()
    {
        var packets = new RandomPackets(9260);
        for (int length = 0; length < 200; length++)
        {
            byte[] bytes = packets.Bytes(length);
            Assert.Equal(ReferenceChecksum.Crc32c(bytes), Crc32c.Compute(bytes));
        }
    }

    [Fact]
    public void Update_matches_a_full_recomputation()
    {
        var packets = new RandomPackets(3720);
        for (int length = 4; length < 1600; length += 7)
        {
            byte[] bytes = packets.Bytes(length);
            uint before = ReferenceChecksum.Crc32c(bytes);
            uint oldWord = BinaryPrimitives.ReadUInt32BigEndian(bytes);
            packets.Bytes(4).CopyTo(bytes, 0);
            uint newWord = BinaryPrimitives.ReadUInt32BigEndian(bytes);

            Assert.Equal(ReferenceChecksum.Crc32c(bytes), Crc32c.Update(before, oldWord, newWord, length - 4));
        }
    }
}
