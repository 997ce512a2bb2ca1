using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Pings of ClusterIPs, which the lab's agents are configured to answer.</summary>
[Collection(LabCollection.Name)]
public sealed class PingTests(LabFixture fixture)
{
    public static IEnumerable<object[]> Pings =>
        from row in ((string, string)[])[("client-a", "web"), ("node-a", "web"), ("client", "web"), ("client-a", "empty")]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, ipv6 };

    [LabTheory, MemberData(nameof(Pings))]
    public async Task A_service_address_answers_pings_of_any_size(string from, string service, bool ipv6)
    {
        foreach (int bytes in (int[])[56, 9_000])
        {
            Assert.True(await PingAsync(fixture.To(from, service, ipv6, 0), bytes, TimeSpan.FromSeconds(20)), $"no answer to {bytes} bytes");
        }
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task The_addresses_of_nodes_and_of_nobody_are_left_alone(bool ipv6)
    {
        ulong unknown = fixture.Counters("node-a").Drops(DropReason.UnknownServiceAddress);
        ulong answered = fixture.Counters("node-a").AnsweredPings;
        IpAddr node = ipv6 ? fixture.Topology.Node("node-a").Ipv6 : fixture.Topology.Node("node-a").Ipv4;

        Assert.True(await PingAsync(TrafficTarget.Of(fixture.Lab, "client-a", node, 0), 56, TimeSpan.FromSeconds(20)));
        Assert.False(await PingAsync(TrafficTarget.Of(fixture.Lab, "client-a", IpAddr.Parse(ipv6 ? "fd10:96::77" : "10.96.0.77"), 0), 56, TimeSpan.FromMilliseconds(300)));

        await Eventually.IsAsync("the other one was dropped", () => fixture.Counters("node-a").Drops(DropReason.UnknownServiceAddress) > unknown);
        Assert.Equal(answered, fixture.Counters("node-a").AnsweredPings); // the node answers itself
    }

    /// <summary>Sends one echo request and waits for the same bytes.</summary>
    private static async Task<bool> PingAsync(TrafficTarget target, int bytes, TimeSpan patience)
    {
        bool ipv6 = target.Address.AddressFamily == AddressFamily.InterNetworkV6;
        using Socket socket = target.From!.OpenSocket(
            target.Address.AddressFamily, SocketType.Raw, ipv6 ? ProtocolType.IcmpV6 : ProtocolType.Icmp);
        byte[] message = new byte[8 + bytes];
        new Random(bytes).NextBytes(message.AsSpan(4)); // identifier, sequence and data
        message[0] = ipv6 ? (byte)128 : (byte)8;
        if (!ipv6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), (ushort)~ReferenceChecksum.Sum(0, message));
        }

        await socket.SendToAsync(message, new IPEndPoint(target.Address.Address, 0));
        byte[] buffer = new byte[65_536];
        using var limit = new CancellationTokenSource(patience);
        try
        {
            while (true)
            {
                SocketReceiveFromResult got = await socket.ReceiveFromAsync(buffer, new IPEndPoint(ipv6 ? IPAddress.IPv6Any : IPAddress.Any, 0), limit.Token);
                byte[] answer = buffer[(ipv6 ? 0 : 20)..got.ReceivedBytes]; // a raw IPv4 socket shows the IP header
                bool isReply = answer.Length == message.Length && answer[0] == (ipv6 ? 129 : 0) && answer.AsSpan(4).SequenceEqual(message.AsSpan(4));
                if (isReply && ((IPEndPoint)got.RemoteEndPoint).Address.Equals(target.Address.Address))
                {
                    return true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
