using ClusterLb.Agent.Firewall;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

public sealed partial class NodeSteering
{
    private const string DefaultDevice = "clb0";

    /// <summary>The device of steering that was found without a record; null if there is a record, or nothing was found.</summary>
    internal string? FoundDevice { get; private set; }

    /// <summary>Settings that may differ from how they were found, and that no record remembers.</summary>
    internal static string SettingsOfRecord =>
        string.Join(", ", [Sysctls.Ipv4Forwarding, Sysctls.Ipv6Forwarding, Sysctls.ReservedPorts]);

    /// <summary>Finds steering of this state directory whose record is lost, for <see cref="RemoveRouting"/> to remove.</summary>
    /// <remarks>
    /// The device's name tag tells whose it is. Without a device it is ours if nothing but our own rules and refusing routes
    /// stands in our places: those that the rules name, else the usual ones. Kernel settings have no owner: they stay.
    /// </remarks>
    internal bool FindLeftovers()
    {
        if (_file.IsElsewhere() || _file.Load() is not null)
        {
            return false;
        }

        string? device = RoutingSnapshot.DeviceByAlias(Alias)
            ?? InstalledOptions.Devices(AllRules()).Append(DefaultDevice)
                .FirstOrDefault(name => RoutingSnapshot.Device(name) is null && OnlyOursIsThere(name, Installed(name)));
        if (device is null)
        {
            return false;
        }

        FoundDevice = device;
        _record = RecordOfFound(device, Installed(device));
        return true;
    }

    /// <summary>True if steering was found that an agent with this state directory installed, and whose record is lost.</summary>
    internal bool HasTakenOver { get; private set; }

    /// <summary>Goes on with steering of this state directory whose record is lost: the device's name tag says that it is ours.</summary>
    private bool TryTakeOver(string device, SteeringOptions options)
    {
        if (_file.IsElsewhere() || RoutingSnapshot.DeviceByAlias(Alias) != device
            || !RoutingSnapshot.Rules(ipv6: false).Contains(EmittedRule(device, options)))
        {
            return false;
        }

        _record = RecordOfFound(device, options);
        _file.Save(_record);
        HasTakenOver = true;
        _log.LogWarning(
            "The record of what this node was like before is lost; what is installed is taken over, and `clusterlb cleanup` will leave {Settings} as they are",
            SettingsOfRecord);
        return true;
    }

    private static SteeringRecord RecordOfFound(string device, SteeringOptions options) => new()
    {
        Kernel = Dataplane.Maps.NodeIdentity.Current,
        Device = device,
        Options = options,
        BridgeNft = CanTakeUpFromBridges() && ListNft(BridgeTable).Length > 0 ? new LoadedNft("", "") : null,
        AcceptsForwarding = FirewallSnapshot.Read().Any(
            chain => chain.Name == "FORWARD" && chain.Rules.Any(rule => ForwardMatches(device).Contains(rule.Text))),
        FoundRulesIpv4 = FoundBefore(ipv6: false, device, options),
        FoundRulesIpv6 = Sysctls.KernelHasIpv6 ? FoundBefore(ipv6: true, device, options) : null,
    };

    // A family that was not steered has no rule for the device: null, and nothing of it is touched.
    private static List<string>? FoundBefore(bool ipv6, string device, SteeringOptions options) =>
        RoutingSnapshot.Rules(ipv6).Contains(EmittedRule(device, options)) || Routes(ipv6, options).Any(route => IsOurs(route, device))
            ? [SteeringPlan.KernelLocalRule]
            : null;

    private static bool OnlyOursIsThere(string device, SteeringOptions options)
    {
        bool found = false;
        string[] ours = SteeringPlan.Rules(device, options);
        foreach (bool ipv6 in Sysctls.KernelFamilies)
        {
            PlannedRoute[] routes = [.. Routes(ipv6, options)];
            IReadOnlyList<string> rules = RoutingSnapshot.Rules(ipv6);
            if (!routes.All(route => IsOurs(route, device)) || Foreign(rules, options, ours).Any())
            {
                return false;
            }

            found |= routes.Length > 0 || (device == DefaultDevice && rules.Contains(EmittedRule(device, options)));
        }

        return found;
    }

    private static SteeringOptions Installed(string device) => InstalledOptions.Of(
        device, AllRules(), table => Sysctls.KernelFamilies.SelectMany(ipv6 => RoutingSnapshot.Routes(ipv6, table)).ToArray() is { Length: > 0 } routes
            && routes.All(route => IsOurs(route, device)));

    private static string[] AllRules() => [.. Sysctls.KernelFamilies.SelectMany(RoutingSnapshot.Rules)];

    private static string EmittedRule(string device, SteeringOptions options) =>
        $"{options.EmittedPriority} iif {device} goto {options.LocalPriority}";

    private static bool IsOurs(PlannedRoute route, string device) =>
        $"{route.Text} ".Contains($" dev {device} ", StringComparison.Ordinal)
        || (route.Text.StartsWith("unreachable ", StringComparison.Ordinal)
            && route.Text.EndsWith($" metric {SteeringPlan.UnreachableMetric}", StringComparison.Ordinal));
}
