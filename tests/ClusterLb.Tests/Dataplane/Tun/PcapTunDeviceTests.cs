using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Tun;

public sealed class PcapTunDeviceTests
{
    [Fact]
    public void A_capture_holds_what_was_received_and_what_was_sent()
    {
        byte[] packet = Packet.Udp("10.0.0.1:1", "10.0.0.2:2").Payload("x");
        using var memory = new InMemoryTunDevice();
        var capture = new MemoryStream();
        using var device = new PcapTunDevice(memory, capture, TimeProvider.System);
        var batch = new PacketBatch();
        memory.TryInject(0, [.. new byte[VnetHeader.Length], .. packet]);

        device.Receive(0, batch);
        batch.Verdict(0) = Verdict.Pass;
        device.Send(batch);

        ReadOnlySpan<byte> bytes = capture.ToArray();
        Assert.Equal(0xa1b23c4d, BinaryPrimitives.ReadUInt32LittleEndian(bytes));
        Assert.Equal(24 + (2 * (16 + packet.Length)), bytes.Length);
        Assert.Equal(packet, bytes.Slice(24 + 16, packet.Length).ToArray());
        Assert.Equal(packet, bytes[^packet.Length..].ToArray());
    }
}
