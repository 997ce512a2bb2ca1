using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;
using ClusterLb.Tests.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

[Collection(UndisturbedCollection.Name)]
public sealed class PacketAllocationTests
{
    [Fact]
    public void Parsing_rewriting_and_answering_allocate_nothing()
    {
        var packets = new RandomPackets(10);
        byte[][] all = [.. Enumerable.Range(0, 2000).Select(_ => packets.Any())];
        var buffer = new byte[4096];
        Exercise(all, buffer); // once more than is counted: compilation allocates

        long before = GC.GetAllocatedBytesForCurrentThread();
        int answers = Exercise(all, buffer);
        long after = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(0, after - before);
        Assert.NotEqual(0, answers);
    }

    private static int Exercise(byte[][] packets, byte[] buffer)
    {
        int answers = 0;
        foreach (byte[] bytes in packets)
        {
            bytes.CopyTo(buffer, 0);
            Span<byte> packet = buffer.AsSpan(0, bytes.Length);
            if (PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at) != DropReason.None)
            {
                continue;
            }

            AddressRewriter.Rewrite(packet, at, tuple, tuple.Reverse, partialChecksum: false);
            AddressRewriter.Rewrite(packet, at, tuple.Reverse, tuple, partialChecksum: true);
            if (at.IsIcmpError
                && PacketParser.ParseEmbedded(packet, at, tuple, out FlowTuple embedded, out HeaderOffsets embeddedAt) == DropReason.None)
            {
                IcmpErrorNat.Rewrite(packet, at, tuple, embeddedAt, embedded, embedded.Reverse, partialChecksum: false);
            }

            answers += RejectReply.Build(buffer, at, tuple) > 0 ? 1 : 0;
        }

        return answers;
    }
}
