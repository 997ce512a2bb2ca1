using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A connection through a service whose server's address sends segments that the kernel's connection tracking calls invalid.</summary>
internal static class OutOfWindow
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The connection goes on.</summary>
    /// <param name="fixture">The lab.</param>
    /// <param name="target">The echo port of a service of one pod, by any way in.</param>
    /// <param name="pod">That one.</param>
    public static async Task LeavesConnectionAsync(LabFixture fixture, TrafficTarget target, string pod)
    {
        using var limit = new CancellationTokenSource(Patience);
        AddressFamily family = target.Address.AddressFamily;
        using Socket raw = fixture.Lab.Namespace(pod).OpenSocket(family, SocketType.Raw, ProtocolType.Tcp);
        using Socket socket = target.From!.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(target.Address, limit.Token);
        string greeting = await ReadAsync(socket, text => text.EndsWith('\n'), limit.Token);
        Assert.Equal("hello", await EchoAsync(socket, "hello", limit.Token));

        LabPod backend = fixture.Topology.Pod(pod);
        var server = new IPEndPoint(IPAddress.Parse((family == AddressFamily.InterNetworkV6 ? backend.Ipv6 : backend.Ipv4).ToString()), LabPod.EchoPort);
        await new StraySegments(raw, server, IPEndPoint.Parse((string)JsonNode.Parse(greeting[greeting.IndexOf('{')..])!["client"]!)).SendAsync();

        Assert.Equal("still there", await EchoAsync(socket, "still there", limit.Token));
    }

    private static async Task<string> EchoAsync(Socket socket, string text, CancellationToken cancel)
    {
        await socket.SendAsync(Encoding.ASCII.GetBytes(text), cancel);
        return await ReadAsync(socket, heard => heard.Length >= text.Length, cancel);
    }

    private static async Task<string> ReadAsync(Socket socket, Func<string, bool> isAll, CancellationToken cancel)
    {
        byte[] buffer = new byte[1024];
        var heard = new StringBuilder();
        while (!isAll(heard.ToString()))
        {
            int length = await socket.ReceiveAsync(buffer, cancel);
            Assert.True(length > 0, $"closed after '{heard}'");
            heard.Append(Encoding.ASCII.GetString(buffer, 0, length));
        }

        return heard.ToString();
    }
}
