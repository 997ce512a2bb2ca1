using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>What was found and what was changed in the kernel: DIR/steering.json. Written before each change, so that a killed agent
/// leaves a record of more than it did, never of less.</summary>
internal sealed record SteeringRecord
{
    /// <summary>Of this file. Another number is another version of ClusterLb.</summary>
    public int Layout { get; init; } = CurrentLayout;

    /// <summary>The layout that this version writes.</summary>
    public const int CurrentLayout = 1;

    /// <summary>Where the record is true.</summary>
    public required NodeIdentity Kernel { get; init; }

    /// <summary>Name of the TUN device.</summary>
    public required string Device { get; init; }

    /// <summary>Marks, tables and priorities that were used.</summary>
    public required SteeringOptions Options { get; init; }

    /// <summary>Values of settings before we wrote them, in the order of writing.</summary>
    public List<KeyValuePair<string, string>> Sysctls { get; init; } = [];

    /// <summary>ip_local_reserved_ports before we added to it; null if we did not.</summary>
    public string? ReservedPorts { get; set; }

    /// <summary>What we added, in the same syntax; null: by an earlier version, the usual range.</summary>
    public string? AddedReservedPorts { get; set; }

    /// <summary>Rules of IPv4 at our priorities and at 0 that were there before us; null if IPv4 was never steered.</summary>
    public List<string>? FoundRulesIpv4 { get; set; }

    /// <summary>The same of IPv6.</summary>
    public List<string>? FoundRulesIpv6 { get; set; }

    /// <summary>Routes of IPv4 in both tables, as they should be; null: not known, an earlier version installed them.</summary>
    public List<PlannedRoute>? RoutesIpv4 { get; set; }

    /// <summary>The same of IPv6.</summary>
    public List<PlannedRoute>? RoutesIpv6 { get; set; }

    /// <summary>The nft file that was loaded last, and how nft listed the table afterwards; null if none was.</summary>
    public LoadedNft? Nft { get; set; }

    /// <summary>The same of the table of family bridge; null if there is none.</summary>
    public LoadedNft? BridgeNft { get; set; }

    /// <summary>iptables' FORWARD chains have our accepting rules.</summary>
    public bool AcceptsForwarding { get; set; }

    /// <summary>The rules found in a family; null if it was never steered.</summary>
    public List<string>? FoundRules(bool ipv6) => ipv6 ? FoundRulesIpv6 : FoundRulesIpv4;

    /// <summary>The routes of a family in both tables; null if they are not known.</summary>
    public List<PlannedRoute>? Routes(bool ipv6) => ipv6 ? RoutesIpv6 : RoutesIpv4;

    /// <summary>Remembers them.</summary>
    public void SetRoutes(bool ipv6, List<PlannedRoute> routes)
    {
        if (ipv6)
        {
            RoutesIpv6 = routes;
        }
        else
        {
            RoutesIpv4 = routes;
        }
    }
}
