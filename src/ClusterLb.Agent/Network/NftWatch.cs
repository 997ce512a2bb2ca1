using System.Text;

namespace ClusterLb.Agent.Network;

/// <summary>Hears when anybody, we too, changes nft tables of one name, or iptables' FORWARD chains (which are nft's on most nodes).</summary>
internal sealed class NftWatch : IDisposable
{
    private const uint NftGroup = 1 << 6; // NFNLGRP_NFTABLES, group 7
    private const int Subsystem = 10; // NFNL_SUBSYS_NFTABLES, in the type's upper byte
    private const int NewGeneration = 15; // NFT_MSG_NEWGEN: ends each transaction, names no table
    private const int DeleteRule = 8; // NFT_MSG_DELRULE
    private const int BodyOffset = 16 + 4; // nlmsghdr, nfgenmsg
    private const ushort TableName = 1; // NFTA_TABLE_NAME, and NFTA_x_TABLE of chains, rules, sets and their elements
    private const ushort ChainName = 2; // NFTA_RULE_CHAIN

    private readonly byte[] _table;
    private readonly Action _touched;
    private readonly Action _forwardTouched;
    private readonly NetlinkListener _listener;

    /// <summary>Starts to listen.</summary>
    /// <param name="table">Name of the table, in any family.</param>
    /// <param name="touched">Something of the table changed. Called on a thread of the watch, once per thing that changed.</param>
    /// <param name="forwardTouched">A rule went from a chain FORWARD of a table filter.</param>
    /// <exception cref="NetlinkException">There is no netlink socket.</exception>
    public NftWatch(string table, Action touched, Action forwardTouched)
    {
        _table = Encoding.UTF8.GetBytes(table);
        _touched = touched;
        _forwardTouched = forwardTouched;
        _listener = new NetlinkListener(NetlinkInterop.Netfilter, NftGroup, "netlink nft", OnMessage, touched);
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void OnMessage(ushort type, ReadOnlySpan<byte> message)
    {
        if (type >> 8 != Subsystem || (type & 0xFF) == NewGeneration || message.Length < BodyOffset)
        {
            return;
        }

        ReadOnlySpan<byte> attributes = message[BodyOffset..];
        ReadOnlySpan<byte> table = NetlinkAttributes.Find(attributes, TableName).TrimEnd((byte)0);
        if (table.SequenceEqual(_table))
        {
            _touched();
        }
        else if ((type & 0xFF) == DeleteRule && table.SequenceEqual("filter"u8)
            && NetlinkAttributes.Find(attributes, ChainName).TrimEnd((byte)0).SequenceEqual("FORWARD"u8))
        {
            _forwardTouched();
        }
    }
}
