using System.Net;
using System.Net.Sockets;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>A port that the kernel gave out a moment ago, and does not give out again soon.</summary>
internal static class FreePort
{
    public static IPEndPoint OnLoopback()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
