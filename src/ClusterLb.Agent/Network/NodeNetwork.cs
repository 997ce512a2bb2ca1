using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>Interfaces and addresses of this network namespace at one moment.</summary>
/// <param name="Interfaces">By index.</param>
/// <param name="Addresses">In the kernel's order.</param>
/// <param name="DefaultSources">Per family, the source address that the default route chooses; none without a default route.</param>
/// <param name="Routes">Where each interface leads, if that was asked for; in the kernel's order.</param>
public sealed record NodeNetwork(
    ImmutableArray<NetworkInterface> Interfaces, ImmutableArray<InterfaceAddress> Addresses, ImmutableArray<IpAddr> DefaultSources,
    ImmutableArray<InterfaceRoute> Routes)
{
    /// <summary>Asks the kernel.</summary>
    /// <param name="withRoutes">Reads <see cref="Routes"/> too: a node may have many.</param>
    /// <exception cref="NetlinkException">It did not answer.</exception>
    public static NodeNetwork Read(bool withRoutes = false)
    {
        (ImmutableArray<NetworkInterface> interfaces, ImmutableArray<InterfaceAddress> addresses) = NetlinkDump.Read();
        // Documentation addresses (RFC 5737, RFC 3849): nothing is sent, connecting a datagram socket only asks for the route.
        IEnumerable<IpAddr?> sources = [SourceTowards("192.0.2.1"), SourceTowards("2001:db8::1")];
        return new NodeNetwork(interfaces, addresses, [.. sources.OfType<IpAddr>()], withRoutes ? NetlinkDump.ReadRoutes() : []);
    }

    /// <summary>All addresses by which others may know this node, the one that the default route chooses first in its family.</summary>
    /// <param name="device">The TUN device: its own address is nobody's.</param>
    public ImmutableArray<IpAddr> NodeAddresses(string device) =>
    [
        .. Addresses
            .Where(a => a.IsUsable && !a.IsLinkLocal && !a.Address.IsLoopback && Interface(a) is { } link && link.Name != device)
            .OrderByDescending(a => DefaultSources.Contains(a.Address)) // stable: the rest stays in the kernel's order
            .ThenBy(a => Interface(a)!.Value.IsLoopback) // an address announced by routing is often on lo; it is not what the node is known by
            .Select(a => a.Address)
            .Distinct(),
    ];

    /// <summary>Who is behind some interfaces, by the routes that leave by them; sorted.</summary>
    /// <param name="isMeant">By the interface's name.</param>
    public ImmutableArray<IpPrefix> Behind(Func<string, bool> isMeant)
    {
        HashSet<int> links = [.. Interfaces.Where(link => isMeant(link.Name)).Select(link => link.Index)];
        return
        [
            .. Routes.Where(r => links.Contains(r.InterfaceIndex) && !r.Destination.Address.IsLinkLocalOrMulticast)
                .Select(r => r.Destination).Distinct().OrderBy(p => p.Address).ThenBy(p => p.Length),
        ];
    }

    /// <summary>MTU of the interface that has <paramref name="address"/>; 0 if none has.</summary>
    public int MtuOf(IpAddr address) => Addresses.Where(a => a.Address == address).Select(a => Interface(a)?.Mtu ?? 0).FirstOrDefault();

    /// <summary>True if an interface is the same in both, with its addresses, or is missing in both.</summary>
    public bool HasSame(string name, NodeNetwork other)
    {
        NetworkInterface mine = Interfaces.FirstOrDefault(link => link.Name == name);
        return mine == other.Interfaces.FirstOrDefault(link => link.Name == name)
            && Addresses.Where(a => a.InterfaceIndex == mine.Index).SequenceEqual(other.Addresses.Where(a => a.InterfaceIndex == mine.Index));
    }

    /// <inheritdoc/>
    public bool Equals(NodeNetwork? other) =>
        other is not null && Interfaces.SequenceEqual(other.Interfaces) && Addresses.SequenceEqual(other.Addresses)
        && DefaultSources.SequenceEqual(other.DefaultSources) && Routes.SequenceEqual(other.Routes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Interfaces.Length, Addresses.Length, Routes.Length);

    private NetworkInterface? Interface(InterfaceAddress address)
    {
        foreach (NetworkInterface link in Interfaces)
        {
            if (link.Index == address.InterfaceIndex)
            {
                return link;
            }
        }

        return null;
    }

    private static IpAddr? SourceTowards(string destination)
    {
        try
        {
            var remote = new IPEndPoint(IPAddress.Parse(destination), 9);
            using var socket = new Socket(remote.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(remote);
            return socket.LocalEndPoint is IPEndPoint local ? IpAddr.Parse(local.Address.ToString()) : null;
        }
        catch (SocketException)
        {
            return null; // no route, or no such family: normal
        }
    }
}
