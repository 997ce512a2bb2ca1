using System.Buffers.Binary;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.Network;

/// <summary>Follows the kernel's events: interfaces, addresses, routing rules, routes of our tables, and if asked of the main one.</summary>
/// <remarks>Says only that something happened; who listens reads anew. So a lost event costs nothing but a reading.</remarks>
internal sealed class NodeNetworkWatch : IDisposable
{
    private const uint LinkGroup = 0x1; // RTMGRP_LINK
    private const uint AddressGroups = 0x10 | 0x100; // RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
    private const uint RouteGroups = 0x40 | 0x400; // RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
    private const uint RuleGroups = 0x80 | (1 << 18); // RTMGRP_IPV4_RULE, group 19: RTNLGRP_IPV6_RULE
    private const ushort RtmNewRoute = 24; // below: links (16 on) and addresses (20 on)
    private const ushort RtmDeleteRoute = 25;
    private const byte MainTable = 254; // RT_TABLE_MAIN
    private const int TableOffset = 16 + 4; // rtmsg.rtm_table behind nlmsghdr
    private const byte TableAbove255 = 252; // RT_TABLE_COMPAT: the number stands in an attribute
    private const int WakeUpMs = 500; // to see that it was disposed

    private readonly SafeFileHandle _socket;
    private readonly int[] _tables;
    private readonly bool _followsMainTable;
    private readonly Action _networkChanged;
    private readonly Action _steeringTouched;
    private readonly Thread _thread;
    private volatile bool _stop;

    /// <summary>Starts to listen.</summary>
    /// <param name="options">Which tables are ours.</param>
    /// <param name="networkChanged">An interface, address or route of the main table changed. Called on a thread of the watch.</param>
    /// <param name="steeringTouched">A rule, or a route of ours, changed. Called on a thread of the watch.</param>
    /// <param name="followsMainTable">Routes of the main table count: a node may have many, and they come and go with pods.</param>
    /// <exception cref="NetlinkException">There is no netlink socket.</exception>
    public NodeNetworkWatch(SteeringOptions options, Action networkChanged, Action steeringTouched, bool followsMainTable = false)
    {
        _followsMainTable = followsMainTable;
        _tables = [options.ServiceTable, options.MarkTable];
        _networkChanged = networkChanged;
        _steeringTouched = steeringTouched;
        _socket = NetlinkInterop.Open(LinkGroup | AddressGroups | RouteGroups | RuleGroups, out int errno);
        if (errno != 0)
        {
            _socket.Dispose();
            throw new NetlinkException($"Cannot follow interfaces and addresses: netlink socket failed with {Errno.Name(errno)}.");
        }

        _thread = new Thread(Listen) { IsBackground = true, Name = "netlink" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Listen()
    {
        byte[] buffer = new byte[65_536];
        while (!_stop)
        {
            if (!NetlinkInterop.Wait(_socket, WakeUpMs))
            {
                continue;
            }

            int received = NetlinkInterop.Receive(_socket, buffer);
            if (received == -NetlinkInterop.LostEvents)
            {
                _networkChanged();
                _steeringTouched();
            }
            else if (received > 0)
            {
                Tell(buffer.AsSpan(0, received));
            }
        }
    }

    private void Tell(ReadOnlySpan<byte> messages)
    {
        while (messages.Length > TableOffset)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(messages);
            ushort type = BinaryPrimitives.ReadUInt16LittleEndian(messages[4..]);
            byte table = messages[TableOffset];
            if (type < RtmNewRoute || (type is RtmNewRoute or RtmDeleteRoute && table == MainTable && _followsMainTable))
            {
                _networkChanged();
            }
            else if (type is not (RtmNewRoute or RtmDeleteRoute) || table == TableAbove255 || _tables.Contains(table))
            {
                _steeringTouched();
            }

            messages = messages[Math.Min(messages.Length, Math.Max((length + 3) & ~3, 4))..];
        }
    }
}
