using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.Network;

/// <summary>Lists interfaces (RTM_GETLINK), addresses (RTM_GETADDR) and routes (RTM_GETROUTE) over rtnetlink.</summary>
/// <remarks>Netlink writes in the machine's byte order; .NET runs on little-endian Linux machines only, s390x aside.</remarks>
internal static class NetlinkDump
{
    private const int HeaderLength = 16; // struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32
    private const ushort NlmsgError = 2;
    private const ushort NlmsgDone = 3;
    private const ushort RtmNewLink = 16;
    private const ushort RtmGetLink = 18;
    private const ushort RtmNewAddress = 20;
    private const ushort RtmGetAddress = 22;
    private const ushort RtmNewRoute = 24;
    private const ushort RtmGetRoute = 26;
    private const ushort RequestDump = 0x1 | 0x300; // NLM_F_REQUEST | NLM_F_DUMP
    private const ushort Inconsistent = 0x10; // NLM_F_DUMP_INTR: something changed meanwhile
    private const int MaxAttempts = 10;

    private const int LinkMessageLength = 16; // struct ifinfomsg
    private const ushort LinkAddress = 1; // IFLA_ADDRESS
    private const ushort LinkName = 3; // IFLA_IFNAME
    private const ushort LinkMtu = 4; // IFLA_MTU
    private const ushort LinkMaster = 10; // IFLA_MASTER
    private const ushort LinkInfo = 18; // IFLA_LINKINFO
    private const ushort LinkKind = 1; // IFLA_INFO_KIND
    private const ushort LinkData = 2; // IFLA_INFO_DATA
    private const ushort BridgeCallsIptables = 36; // IFLA_BR_NF_CALL_IPTABLES
    private const ushort BridgeCallsIp6tables = 37; // IFLA_BR_NF_CALL_IP6TABLES
    private const ushort AttributeTypeMask = 0x3FFF; // without NLA_F_NESTED, NLA_F_NET_BYTEORDER
    private const uint LinkUp = 0x1; // IFF_UP
    private const uint LinkLoopback = 0x8; // IFF_LOOPBACK

    private const int AddressMessageLength = 8; // struct ifaddrmsg
    private const ushort AddressAddress = 1; // IFA_ADDRESS: the peer, where there is one
    private const ushort AddressLocal = 2; // IFA_LOCAL: missing for IPv6 without a peer
    private const ushort AddressFlags = 8; // IFA_FLAGS, 32 bits
    private const uint Unusable = 0x8 | 0x20 | 0x40; // IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE
    private const byte ScopeLink = 253; // RT_SCOPE_LINK

    private const int RouteMessageLength = 12; // struct rtmsg
    private const ushort RouteDestination = 1; // RTA_DST; missing for a default route
    private const ushort RouteInterface = 4; // RTA_OIF; missing where there are several ways
    private const byte MainTable = 254; // RT_TABLE_MAIN
    private const byte Unicast = 1; // RTN_UNICAST
    private const byte FamilyIpv4 = 2; // AF_INET
    private const byte FamilyIpv6 = 10; // AF_INET6
    private const uint Cloned = 0x200; // RTM_F_CLONED: a cached result, no route

    /// <summary>All interfaces and addresses.</summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public static (ImmutableArray<NetworkInterface> Interfaces, ImmutableArray<InterfaceAddress> Addresses) Read()
    {
        var interfaces = new List<NetworkInterface>();
        var addresses = new List<InterfaceAddress>();
        Dump(RtmGetLink, RtmNewLink, interfaces, ParseLink);
        Dump(RtmGetAddress, RtmNewAddress, addresses, ParseAddress);
        return ([.. interfaces], [.. addresses]);
    }

    /// <summary>Unicast routes of the main table that have one interface; default routes are left out.</summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public static ImmutableArray<InterfaceRoute> ReadRoutes()
    {
        var routes = new List<InterfaceRoute>();
        Dump(RtmGetRoute, RtmNewRoute, routes, ParseRoute);
        return [.. routes];
    }

    private static void Dump<T>(ushort request, ushort answer, List<T> items, Func<ReadOnlyMemory<byte>, T?> parse)
        where T : struct
    {
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            items.Clear();
            if (TryDump(request, answer, items, parse))
            {
                return;
            }
        }

        throw new NetlinkException($"The kernel's list of interfaces, addresses or routes changed during {MaxAttempts} readings in a row.");
    }

    private static bool TryDump<T>(ushort request, ushort answer, List<T> items, Func<ReadOnlyMemory<byte>, T?> parse)
        where T : struct
    {
        using SafeFileHandle socket = NetlinkInterop.Open(NetlinkInterop.Route, groups: 0, out int errno);
        Check(errno, "socket");
        Span<byte> message = stackalloc byte[HeaderLength + 4];
        message.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], request);
        BinaryPrimitives.WriteUInt16LittleEndian(message[6..], RequestDump);
        Check(NetlinkInterop.Send(socket, message), "send");

        byte[] buffer = new byte[65_536];
        bool consistent = true;
        while (true)
        {
            int received = NetlinkInterop.Receive(socket, buffer);
            Check(Math.Max(0, -received), "recv");
            ReadOnlyMemory<byte> rest = buffer.AsMemory(0, received);
            while (rest.Length >= HeaderLength)
            {
                ReadOnlySpan<byte> header = rest.Span;
                int length = BinaryPrimitives.ReadInt32LittleEndian(header);
                ushort type = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
                consistent &= (BinaryPrimitives.ReadUInt16LittleEndian(header[6..]) & Inconsistent) == 0;
                if (type == NlmsgDone)
                {
                    return consistent;
                }

                if (type == NlmsgError)
                {
                    Check(-BinaryPrimitives.ReadInt32LittleEndian(header[HeaderLength..]), "dump");
                }

                if (type == answer && parse(rest[HeaderLength..length]) is T item)
                {
                    items.Add(item);
                }

                rest = rest[Math.Min(rest.Length, (length + 3) & ~3)..];
            }
        }
    }

    // struct ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32
    private static NetworkInterface? ParseLink(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> link = message.Span;
        string name = "";
        string hardwareAddress = "";
        int mtu = 0;
        int master = 0;
        (string Kind, bool Calls4, bool Calls6) info = ("", false, false);
        foreach ((ushort type, ReadOnlyMemory<byte> value) in Attributes(message[LinkMessageLength..]))
        {
            switch (type)
            {
                case LinkName:
                    name = Encoding.UTF8.GetString(value.Span).TrimEnd('\0');
                    break;
                case LinkMtu:
                    mtu = BinaryPrimitives.ReadInt32LittleEndian(value.Span);
                    break;
                case LinkAddress:
                    hardwareAddress = string.Join(':', value.ToArray().Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));
                    break;
                case LinkMaster:
                    master = BinaryPrimitives.ReadInt32LittleEndian(value.Span);
                    break;
                case LinkInfo:
                    info = ParseLinkInfo(value);
                    break;
            }
        }

        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(link[8..]);
        int index = BinaryPrimitives.ReadInt32LittleEndian(link[4..]);
        return new NetworkInterface(index, name, mtu, (flags & LinkLoopback) != 0, (flags & LinkUp) != 0)
        {
            Kind = info.Kind,
            HardwareAddress = hardwareAddress,
            MasterIndex = master,
            CallsIptables = info.Calls4,
            CallsIp6tables = info.Calls6,
        };
    }

    private static (string Kind, bool Calls4, bool Calls6) ParseLinkInfo(ReadOnlyMemory<byte> message)
    {
        string kind = "";
        (bool calls4, bool calls6) = (false, false);
        foreach ((ushort type, ReadOnlyMemory<byte> value) in Attributes(message))
        {
            if (type == LinkKind)
            {
                kind = Encoding.UTF8.GetString(value.Span).TrimEnd('\0');
            }
            else if (type == LinkData && kind == "bridge") // the kind comes first: what the data mean depends on it
            {
                foreach ((ushort setting, ReadOnlyMemory<byte> on) in Attributes(value))
                {
                    calls4 |= setting == BridgeCallsIptables && on.Span[0] != 0;
                    calls6 |= setting == BridgeCallsIp6tables && on.Span[0] != 0;
                }
            }
        }

        return (kind, calls4, calls6);
    }

    // struct ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32
    private static InterfaceAddress? ParseAddress(ReadOnlyMemory<byte> message)
    {
        uint flags = message.Span[2];
        bool isLinkLocal = message.Span[3] == ScopeLink;
        int prefixLength = message.Span[1];
        int index = BinaryPrimitives.ReadInt32LittleEndian(message.Span[4..]);
        IpAddr? address = null;
        foreach ((ushort type, ReadOnlyMemory<byte> value) in Attributes(message[AddressMessageLength..]))
        {
            switch (type)
            {
                case AddressLocal:
                    address = ToAddress(value.Span);
                    break;
                case AddressAddress:
                    address ??= ToAddress(value.Span);
                    break;
                case AddressFlags:
                    flags = BinaryPrimitives.ReadUInt32LittleEndian(value.Span);
                    break;
            }
        }

        return address is { } found ? new InterfaceAddress(index, found, (flags & Unusable) == 0, isLinkLocal, prefixLength) : null;
    }

    // struct rtmsg: family u8, dst_len u8, src_len u8, tos u8, table u8, protocol u8, scope u8, type u8, flags u32
    private static InterfaceRoute? ParseRoute(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> route = message.Span;
        bool isCounted = route[0] is FamilyIpv4 or FamilyIpv6 && route[4] == MainTable && route[7] == Unicast
            && (BinaryPrimitives.ReadUInt32LittleEndian(route[8..]) & Cloned) == 0;
        IpAddr? destination = null;
        int link = 0;
        foreach ((ushort type, ReadOnlyMemory<byte> value) in Attributes(message[RouteMessageLength..]))
        {
            switch (type)
            {
                case RouteDestination:
                    destination = ToAddress(value.Span);
                    break;
                case RouteInterface:
                    link = BinaryPrimitives.ReadInt32LittleEndian(value.Span);
                    break;
            }
        }

        return isCounted && link != 0 && destination is { } address ? new InterfaceRoute(link, new IpPrefix(address, route[1])) : null;
    }

    private static IpAddr? ToAddress(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        4 => IpAddr.ReadIpv4(bytes),
        16 => IpAddr.ReadIpv6(bytes),
        _ => null,
    };

    // struct rtattr: length u16 (with itself), type u16, value, padding to 4 bytes
    private static IEnumerable<(ushort Type, ReadOnlyMemory<byte> Value)> Attributes(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length >= 4)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span);
            ushort type = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span[2..]) & AttributeTypeMask);
            if (length < 4 || length > bytes.Length)
            {
                yield break;
            }

            yield return (type, bytes[4..length]);
            bytes = bytes[Math.Min(bytes.Length, (length + 3) & ~3)..];
        }
    }

    private static void Check(int errno, string call)
    {
        if (errno != 0)
        {
            throw new NetlinkException($"Cannot read interfaces, addresses and routes: netlink {call} failed with {Errno.Name(errno)}.");
        }
    }
}
