using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Client;

/// <summary>Where traffic goes and whence.</summary>
/// <param name="Address">Address and port to dial.</param>
/// <param name="From">The namespace to dial from; this process's own if null.</param>
/// <param name="FromPort">The port to dial from; any if 0.</param>
public sealed record TrafficTarget(IPEndPoint Address, NetworkNamespace? From = null, int FromPort = 0)
{
    /// <summary>From a node, pod or the client of a lab to an address and port.</summary>
    public static TrafficTarget Of(LabCluster lab, string from, ClusterLb.Dataplane.IpAddr address, int port) =>
        new(new IPEndPoint(IPAddress.Parse(address.ToString()), port), lab.Namespace(from));

    /// <summary>A socket of the right family in the right namespace, bound to the right port.</summary>
    internal Socket OpenSocket(SocketType type, ProtocolType protocol)
    {
        Socket socket = From is null ? new Socket(Address.AddressFamily, type, protocol) : From.OpenSocket(Address.AddressFamily, type, protocol);
        if (FromPort != 0)
        {
            socket.Bind(new IPEndPoint(Address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, FromPort));
        }

        return socket;
    }

    /// <summary>A connected TCP socket.</summary>
    internal async Task<Socket> ConnectTcpAsync(CancellationToken cancel)
    {
        Socket socket = OpenSocket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.NoDelay = true;
            await socket.ConnectAsync(Address, cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A connected UDP socket: it hears of ICMP errors.</summary>
    internal async Task<Socket> ConnectUdpAsync(CancellationToken cancel)
    {
        Socket socket = OpenSocket(SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(Address, cancel);
        return socket;
    }
}
