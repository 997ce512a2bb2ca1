namespace ClusterLb.Agent.Steering;

/// <summary>Marks, tables, priorities and sizes of what steers packets into the TUN device. docs/steering.md explains each.</summary>
public sealed record SteeringOptions
{
    /// <summary>Bit of the packet mark, and of the connection mark of what we emitted: replies come back to us.</summary>
    public uint ReplyMark { get; init; } = 0x10000;

    /// <summary>Bit of the connection mark of node port traffic: its original direction comes to us.</summary>
    public uint OriginalMark { get; init; } = 0x20000;

    /// <summary>Routing table of service addresses.</summary>
    public int ServiceTable { get; init; } = 200;

    /// <summary>Routing table of marked packets: everything goes to the device.</summary>
    public int MarkTable { get; init; } = 210;

    /// <summary>Priority of the rule for what we emit; it skips to <see cref="LocalPriority"/>.</summary>
    public int EmittedPriority { get; init; } = 10;

    /// <summary>Priority of the rule for marked packets.</summary>
    public int MarkPriority { get; init; } = 20;

    /// <summary>Priority of the rule for service addresses.</summary>
    public int ServicePriority { get; init; } = 40;

    /// <summary>Where the kernel's rule for local addresses moves, from 0.</summary>
    public int LocalPriority { get; init; } = 100;

    /// <summary>MTU of the device in bytes. 0: that of the interface with the node's primary address.</summary>
    public int Mtu { get; init; }

    /// <summary>Also accept forwarded packets of the device in iptables' FORWARD chain, where its policy is to drop (Docker, firewalld).</summary>
    public bool AcceptForwarding { get; init; }

    /// <summary>What is done about pods on bridges. Null: by itself, the cheapest that this node allows.</summary>
    public BridgeFix? BridgedPods { get; init; }

    /// <summary>True if what was installed by one can be kept by the other: only sizes, bridges and iptables' FORWARD chains may differ.</summary>
    public bool SteersAs(SteeringOptions other) =>
        this == other with { Mtu = Mtu, AcceptForwarding = AcceptForwarding, BridgedPods = BridgedPods };

    /// <summary>Every problem.</summary>
    public IEnumerable<string> Problems()
    {
        if (!uint.IsPow2(ReplyMark) || !uint.IsPow2(OriginalMark) || ReplyMark == OriginalMark)
        {
            yield return $"steering.replyMark is 0x{ReplyMark:x} and steering.originalMark 0x{OriginalMark:x}, " +
                "but they must be two different single bits.";
        }

        if (ReservedTable(ServiceTable) || ReservedTable(MarkTable) || ServiceTable == MarkTable)
        {
            yield return $"steering.serviceTable is {ServiceTable} and steering.markTable {MarkTable}, but they must be two " +
                "different routing tables from 1 to 2147483647, except 253 to 255, which are the kernel's.";
        }

        if (EmittedPriority < 1 || MarkPriority <= EmittedPriority || ServicePriority <= MarkPriority
            || LocalPriority <= ServicePriority || LocalPriority >= 32766)
        {
            yield return $"steering.rulePriorities are fromTun {EmittedPriority}, mark {MarkPriority}, services {ServicePriority}, " +
                $"local {LocalPriority}, but must rise in this order, from 1 to 32765.";
        }

        if (Mtu is not 0 and (< 1280 or > 65_535))
        {
            yield return $"tun.mtu is {Mtu}, but must be 0 (that of the uplink) or from 1280 (RFC 8200, section 5) to 65535 bytes.";
        }
    }

    private static bool ReservedTable(int table) => table is < 1 or (>= 253 and <= 255);
}
