namespace ClusterLb.Agent.Steering;

/// <summary>What must be in the kernel, as text that a person would type. Pure: the same inputs give the same plan.</summary>
/// <remarks>
/// A route or rule is one canonical line, both here and in <see cref="RoutingSnapshot"/>, which reads them back: so comparing
/// is comparing sets of lines, and repairing is running those that are missing.
/// </remarks>
internal sealed record SteeringPlan
{
    /// <summary>An address on the device, needed for reverse path filtering: with rp_filter 2, packets that come from an interface
    /// without any IPv4 address are dropped, whatever their source.</summary>
    public const string DeviceAddress = "169.254.77.1/32";

    /// <summary>Packets that may wait in a queue while nobody reads.</summary>
    public const int TransmitQueueLength = 1000;

    /// <summary>Metric of the routes that refuse what the device, once gone, can no longer take.</summary>
    public const int UnreachableMetric = 4000;

    /// <summary>Where the kernel has its rule for local addresses.</summary>
    public const string KernelLocalRule = "0 lookup local";

    /// <summary>Per family that is steered: its rules in the order in which they are added. The kernel's own rule goes last.</summary>
    public required IReadOnlyDictionary<bool, IReadOnlyList<string>> RulesOfFamily { get; init; }

    /// <summary>Per family that is steered: its routes, by table, the ones that carry before the ones that refuse.</summary>
    public required IReadOnlyDictionary<bool, IReadOnlyList<PlannedRoute>> RoutesOfFamily { get; init; }

    /// <summary>Kernel settings, in order; those of the kernel's conntrack are in <see cref="KernelConntrackOptions"/>.</summary>
    public required IReadOnlyList<(string Name, string Value)> Settings { get; init; }

    /// <summary>The nft table, as a file for <c>nft -f</c>.</summary>
    public required string Nft { get; init; }

    /// <summary>The table of family bridge, as a file for <c>nft -f</c>; empty if there shall be none.</summary>
    public string BridgeNft { get; init; } = "";

    /// <summary>The plan for these inputs.</summary>
    public static SteeringPlan For(SteeringInputs inputs) => new()
    {
        RulesOfFamily = inputs.Families.ToDictionary(family => family.IsIpv6, _ => (IReadOnlyList<string>)Rules(inputs.Device, inputs.Options)),
        RoutesOfFamily = inputs.Families.ToDictionary(family => family.IsIpv6, family => (IReadOnlyList<PlannedRoute>)Routes(inputs, family)),
        Settings = DeviceSettings(inputs),
        Nft = NftRuleset.Render(inputs),
        BridgeNft = inputs.BridgeNft,
    };

    /// <summary>The rules of either family, in the order in which they are added.</summary>
    public static string[] Rules(string device, SteeringOptions o) =>
    [
        $"{o.LocalPriority} lookup local",
        $"{o.EmittedPriority} iif {device} goto {o.LocalPriority}",
        $"{o.MarkPriority} fwmark 0x{o.ReplyMark:x}/0x{o.ReplyMark:x} lookup {o.MarkTable}",
        $"{o.ServicePriority} lookup {o.ServiceTable}",
    ];

    private static List<PlannedRoute> Routes(SteeringInputs inputs, SteeringFamily family)
    {
        SteeringOptions o = inputs.Options;
        string source = family.Source is { } address ? $" src {address}" : "";
        int segment = inputs.Mtu - (family.IsIpv6 ? 60 : 40); // IP header and TCP header, no options
        var routes = new List<PlannedRoute>();
        foreach (string destination in family.Destinations.Select(prefix => prefix.ToString()))
        {
            routes.Add(new PlannedRoute(o.ServiceTable, $"{destination} dev {inputs.Device}{source} advmss {segment}"));
            routes.Add(new PlannedRoute(o.ServiceTable, $"unreachable {destination} metric {UnreachableMetric}"));
        }

        routes.Add(new PlannedRoute(o.MarkTable, $"default dev {inputs.Device}"));
        routes.Add(new PlannedRoute(o.MarkTable, $"unreachable default metric {UnreachableMetric}"));
        return routes;
    }

    /// <summary>Only <see cref="Settings"/>: cheap, for whoever looks often.</summary>
    public static List<(string Name, string Value)> DeviceSettings(SteeringInputs inputs)
    {
        string device = $"net/ipv4/conf/{inputs.Device}";
        List<(string, string)> sysctls =
        [
            ($"{device}/rp_filter", "2"), // not 0: the effective value is the larger one of "all" and the device's
            ($"{device}/accept_local", "1"), // what we emit carries the node's addresses as source
            ($"{device}/route_localnet", "1"), // node ports on 127.0.0.1; on this device only, never on "all"
            ($"{device}/send_redirects", "0"),
        ];
        if (inputs.Ipv4 is not null)
        {
            sysctls.Add((Sysctls.Ipv4Forwarding, "1"));
        }

        if (inputs.Ipv6 is not null)
        {
            sysctls.Add((Sysctls.Ipv6Forwarding, "1"));
        }

        return sysctls;
    }
}
