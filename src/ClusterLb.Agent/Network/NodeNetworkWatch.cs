using System.Buffers.Binary;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Network;

/// <summary>Follows the kernel's events: interfaces, addresses, routing rules, routes of our tables, and if asked of the main one; forwarding.</summary>
/// <remarks>Says only that something happened; who listens reads anew. So a lost event costs nothing but a reading.</remarks>
internal sealed class NodeNetworkWatch : IDisposable
{
    private const uint LinkGroup = 0x1; // RTMGRP_LINK
    private const uint AddressGroups = 0x10 | 0x100; // RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
    private const uint RouteGroups = 0x40 | 0x400; // RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
    private const uint RuleGroups = 0x80 | (1 << 18); // RTMGRP_IPV4_RULE, group 19: RTNLGRP_IPV6_RULE
    private const uint SettingGroups = (1 << 23) | (1 << 24); // groups 24 and 25: RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF
    private const ushort RtmNewRoute = 24; // below: links (16 on) and addresses (20 on)
    private const ushort RtmDeleteRoute = 25;
    private const ushort RtmNewRule = 32;
    private const ushort RtmNewSettings = 80; // RTM_NEWNETCONF
    private const byte MainTable = 254; // RT_TABLE_MAIN
    private const int TableOffset = 16 + 4; // rtmsg.rtm_table behind nlmsghdr
    private const byte TableAbove255 = 252; // RT_TABLE_COMPAT: the number stands in an attribute
    private const int SettingsOffset = 16 + 4; // netconfmsg, padded
    private const ushort SettingsInterface = 1; // NETCONFA_IFINDEX
    private const int AllInterfaces = -1; // NETCONFA_IFINDEX_ALL

    private readonly int[] _tables;
    private readonly bool _followsMainTable;
    private readonly Action _networkChanged;
    private readonly Action _steeringTouched;
    private readonly Action _steeringLost;
    private readonly NetlinkListener _listener;

    /// <summary>Starts to listen.</summary>
    /// <param name="options">Which tables are ours.</param>
    /// <param name="networkChanged">An interface, address or route of the main table changed. Called on a thread of the watch.</param>
    /// <param name="steeringTouched">A rule, or a route of ours, came. Called on a thread of the watch.</param>
    /// <param name="steeringLost">One went, or a setting of all interfaces (forwarding) changed: traffic may suffer now.</param>
    /// <param name="followsMainTable">Routes of the main table count: a node may have many, and they come and go with pods.</param>
    /// <exception cref="NetlinkException">There is no netlink socket.</exception>
    public NodeNetworkWatch(SteeringOptions options, Action networkChanged, Action steeringTouched, Action steeringLost, bool followsMainTable = false)
    {
        _followsMainTable = followsMainTable;
        _tables = [options.ServiceTable, options.MarkTable];
        _networkChanged = networkChanged;
        _steeringTouched = steeringTouched;
        _steeringLost = steeringLost;
        _listener = new NetlinkListener(
            NetlinkInterop.Route, LinkGroup | AddressGroups | RouteGroups | RuleGroups | SettingGroups, "netlink route", OnMessage, OnLostEvents);
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void OnLostEvents()
    {
        _networkChanged();
        _steeringLost();
    }

    private void OnMessage(ushort type, ReadOnlySpan<byte> message)
    {
        if (message.Length <= TableOffset)
        {
            return;
        }

        byte table = message[TableOffset];
        if (type < RtmNewRoute || (type is RtmNewRoute or RtmDeleteRoute && table == MainTable && _followsMainTable))
        {
            _networkChanged();
        }
        else if (type >= RtmNewSettings)
        {
            // Each new interface tells of its settings too: of no interest.
            ReadOnlySpan<byte> index = NetlinkAttributes.Find(message[SettingsOffset..], SettingsInterface);
            if (index.Length == sizeof(int) && BinaryPrimitives.ReadInt32LittleEndian(index) == AllInterfaces)
            {
                _steeringLost();
            }
        }
        else if (type is not (RtmNewRoute or RtmDeleteRoute) || table == TableAbove255 || _tables.Contains(table))
        {
            (type is RtmNewRoute or RtmNewRule ? _steeringTouched : _steeringLost)();
        }
    }
}
