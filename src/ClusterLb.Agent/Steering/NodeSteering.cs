using ClusterLb.Dataplane.Maps;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

/// <summary>Brings the kernel to a <see cref="SteeringPlan"/>, and back to how it was found.</summary>
/// <remarks>
/// Compare and repair: what is right already is not touched, so an agent that starts again, or verifies, disturbs no traffic.
/// Order: device, settings, routes, rules (the moved local rule first, the kernel's own goes last), nft. Removal is the reverse.
/// Not safe for concurrent use: one thread steers.
/// </remarks>
public sealed partial class NodeSteering
{
    private readonly string _stateDirectory;
    private readonly SteeringRecordFile _file;
    private readonly ILogger _log;
    private SteeringRecord? _record;
    private List<string> _changes = [];

    /// <summary>Steering of the calling process's network namespace. Nothing is read or changed yet.</summary>
    /// <param name="stateDirectory">Where steering.json is kept; it must exist when something is changed.</param>
    /// <param name="log">One line per repair.</param>
    public NodeSteering(string stateDirectory, ILogger log)
    {
        _stateDirectory = stateDirectory;
        _file = new SteeringRecordFile(stateDirectory);
        _log = log;
    }

    /// <summary>Checks that device, tables, priorities and nft table are free or ours, and notes that they are ours from now on.</summary>
    /// <remarks>To be called before the device is created: a crash in between must not leave a device without an owner.</remarks>
    /// <exception cref="SteeringException">Something is taken; nothing was changed.</exception>
    public void Claim(string device, SteeringOptions options)
    {
        _record = _file.LoadOrSetAside(problem => _log.LogWarning("{Problem}", problem));
        if (_record is not null && (_record.Device != device || !_record.Options.SteersAs(options)))
        {
            _log.LogWarning("Steering is configured differently than it was installed: removing the old one first {Device}", _record.Device);
            RemoveRouting();
            if (_record.Device != device)
            {
                RemoveDevice();
            }

            Forget();
        }

        CheckDevice(device);
        if (_record is not null)
        {
            return;
        }

        if (TryTakeOver(device, options))
        {
            return;
        }

        CheckFree(device, options);
        _record = new SteeringRecord { Kernel = NodeIdentity.Current, Device = device, Options = options };
        _file.Save(_record);
    }

    /// <summary>Repairs whatever differs from the plan for <paramref name="inputs"/>.</summary>
    /// <returns>What was changed, each a few words; empty if all was right.</returns>
    /// <exception cref="SteeringException">A change failed. What was done stays; the next call goes on from there.</exception>
    public IReadOnlyList<string> Apply(SteeringInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        Claim(inputs.Device, inputs.Options);
        _changes = [];
        SteeringPlan plan = SteeringPlan.For(inputs);
        RepairDevice(inputs);
        RepairSettings(plan.Settings);
        ReservePorts(inputs.SnatPorts);
        RepairConntrack(inputs.Conntrack);
        foreach (SteeringFamily family in inputs.Families)
        {
            RepairRoutes(plan, inputs.Options, family.IsIpv6);
        }

        foreach (SteeringFamily family in inputs.Families)
        {
            RepairRules(plan, inputs.Options, family.IsIpv6);
        }

        RepairInetNft(plan.Nft);
        RepairBridges(plan.BridgeNft);
        RepairForwarding(inputs);
        return _changes;
    }

    /// <summary>Puts our nft tables back as they were loaded last, and looks at nothing else: while one is gone, replies bypass the dataplane.</summary>
    /// <returns>True if one was not as it should be.</returns>
    /// <exception cref="SteeringException">One could not be loaded.</exception>
    public bool RestoreNft()
    {
        _changes = [];
        if (_record?.Nft is { } loaded)
        {
            RepairInetNft(loaded.Loaded);
        }

        if (_record?.BridgeNft is { Loaded.Length: > 0 } bridges)
        {
            RepairBridges(bridges.Loaded);
        }

        return _changes.Count > 0;
    }

    /// <summary>True if the kernel settings are those for <paramref name="inputs"/>. Runs no program.</summary>
    /// <exception cref="SteeringException">One cannot be read.</exception>
    public bool HasSettings(SteeringInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return SteeringPlan.DeviceSettings(inputs).Concat(inputs.Conntrack.Settings()).Where(setting => !_refused.Contains(setting.Name))
            .All(setting => Sysctls.Read(setting.Name) is var present && (present is null || present == setting.Value))
            && AreReserved(inputs.SnatPorts);
    }

    /// <summary>Writes the settings that do not depend on the node's network, before there is any. <see cref="Claim"/> comes first.</summary>
    /// <exception cref="SteeringException">One cannot be written.</exception>
    public void PrepareKernel(KernelConntrackOptions conntrack)
    {
        ArgumentNullException.ThrowIfNull(conntrack);
        RepairConntrack(conntrack);
    }

    private const string AliasPrefix = "clusterlb:";

    private string Alias => AliasPrefix + _stateDirectory;

    private SteeringRecord Record => _record ?? throw new InvalidOperationException("Claim comes first.");

    private void RepairDevice(SteeringInputs inputs)
    {
        string name = inputs.Device;
        DeviceSnapshot device = RoutingSnapshot.Device(name)
            ?? throw new SteeringException($"The TUN device '{name}' does not exist. Restart the agent to create it again.");
        var commands = new List<string>();
        string addressGeneration = $"net/ipv6/conf/{name}/addr_gen_mode";
        if (Sysctls.Read(addressGeneration) is not (null or "1"))
        {
            commands.Add($"link set {name} addrgenmode none"); // else the kernel sends MLD and router solicitations into it
        }

        if (device.Alias != Alias)
        {
            commands.Add($"link set {name} alias {Alias}");
        }

        if (!device.Addresses.Contains(SteeringPlan.DeviceAddress))
        {
            commands.Add($"address add {SteeringPlan.DeviceAddress} scope link dev {name}");
        }

        if (device.Mtu != inputs.Mtu || device.QueueLength != SteeringPlan.TransmitQueueLength || !device.IsUp)
        {
            commands.Add($"link set {name} mtu {inputs.Mtu} txqueuelen {SteeringPlan.TransmitQueueLength} up");
        }

        RunIp(ipv6: false, commands);
    }

    private void RepairSettings(IEnumerable<(string Name, string Value)> settings)
    {
        foreach ((string name, string wanted) in settings)
        {
            RepairSetting(name, wanted);
        }
    }

    private void RepairSetting(string name, string wanted)
    {
        string? present = Sysctls.Read(name);
        if (present is null || present == wanted)
        {
            return;
        }

        // The device's own settings vanish with it.
        if (!name.Contains($"/{Record.Device}/", StringComparison.Ordinal))
        {
            Remember(name, present);
        }

        Sysctls.Write(name, wanted);
        Changed("setting", $"{name}={wanted}");
    }

    private void Remember(string name, string present)
    {
        foreach ((string setting, string value) in Sysctls.SideEffects(name).Prepend(new KeyValuePair<string, string>(name, present)))
        {
            if (!Record.Sysctls.Exists(known => known.Key == setting))
            {
                Record.Sysctls.Add(new KeyValuePair<string, string>(setting, value));
            }
        }

        _file.Save(Record);
    }

    private void ReservePorts(SnatPortRanges ports)
    {
        if (AreReserved(ports))
        {
            return;
        }

        string present = Sysctls.Read(Sysctls.ReservedPorts) ?? "";
        PortRanges reserved = PortRanges.Parse(present);
        PortRanges added = PortRanges.Parse(Record.AddedReservedPorts);
        added.Set(ports.First, ports.Last, true);
        Record.ReservedPorts ??= present;
        Record.AddedReservedPorts = added.ToString();
        _file.Save(Record);
        reserved.Set(ports.First, ports.Last, true);
        Sysctls.Write(Sysctls.ReservedPorts, reserved.ToString());
        Changed("setting", $"{Sysctls.ReservedPorts}={reserved}");
    }

    // The kernel would hand out none of the first range anyway, or is told not to.
    private static bool AreReserved(SnatPortRanges ports)
    {
        (int first, int last) = Sysctls.LocalPortRange();
        return last < ports.First || first > ports.Last || PortRanges.Parse(Sysctls.Read(Sysctls.ReservedPorts)).Contains(ports.First, ports.Last);
    }

    private void RepairRoutes(SteeringPlan plan, SteeringOptions options, bool ipv6)
    {
        HashSet<PlannedRoute> present = [.. Routes(ipv6, options)];
        IReadOnlyList<PlannedRoute> wanted = plan.RoutesOfFamily[ipv6];
        if (Record.Routes(ipv6) is not { } recorded || !recorded.SequenceEqual(wanted))
        {
            Record.SetRoutes(ipv6, [.. wanted]);
            _file.Save(Record);
        }

        List<string> commands = [.. wanted.Where(route => !present.Contains(route)).Select(route => $"route replace {route.Text} table {route.Table}")];

        // A route that differs only in what a replacement replaces (source, segment size) is gone after it: only others are deleted.
        HashSet<string> replaced = [.. wanted.Select(Key)];
        commands.AddRange(present.Except(wanted).Where(route => !replaced.Contains(Key(route)))
            .Select(route => $"route del {route.Text} table {route.Table}"));
        RunIp(ipv6, commands);

        static string Key(PlannedRoute route)
        {
            string[] words = route.Text.Split(' ');
            return $"{route.Table} {(words[0] == "unreachable" ? string.Join(' ', words[..2]) : words[0])}";
        }
    }

    private void RepairRules(SteeringPlan plan, SteeringOptions options, bool ipv6)
    {
        IReadOnlyList<string> present = RoutingSnapshot.Rules(ipv6);
        IReadOnlyList<string> wanted = plan.RulesOfFamily[ipv6];
        if (Record.FoundRules(ipv6) is null)
        {
            List<string> found = [.. present.Where(rule => wanted.Contains(rule) || rule == SteeringPlan.KernelLocalRule)];
            if (ipv6)
            {
                Record.FoundRulesIpv6 = found;
            }
            else
            {
                Record.FoundRulesIpv4 = found;
            }

            _file.Save(Record);
        }

        var commands = new List<string>();
        foreach (string rule in wanted.Where(rule => !present.Contains(rule)))
        {
            commands.Add($"rule add pref {rule}");
        }

        // Somebody may have put it back twice.
        commands.AddRange(present.Where(rule => rule == SteeringPlan.KernelLocalRule).Select(_ => $"rule del pref {SteeringPlan.KernelLocalRule}"));
        commands.AddRange(Foreign(present, options, wanted).Select(rule => $"rule del pref {rule}"));
        RunIp(ipv6, commands);
    }

    // Rules at our priorities that the plan does not know: leftovers, for CheckFree let no stranger's pass.
    private static IEnumerable<string> Foreign(IEnumerable<string> present, SteeringOptions options, IEnumerable<string> wanted)
    {
        string[] priorities = [$"{options.EmittedPriority} ", $"{options.MarkPriority} ", $"{options.ServicePriority} ", $"{options.LocalPriority} "];
        return present.Except(wanted).Where(rule => priorities.Any(priority => rule.StartsWith(priority, StringComparison.Ordinal)));
    }

    private void RepairInetNft(string wanted) => RepairNft(InetTable, wanted, Record.Nft, loaded => Record.Nft = loaded);

    private static IEnumerable<PlannedRoute> Routes(bool ipv6, SteeringOptions options) =>
        RoutingSnapshot.Routes(ipv6, options.ServiceTable).Concat(RoutingSnapshot.Routes(ipv6, options.MarkTable));

    private void CheckDevice(string name)
    {
        // A device of ours that has no name tag yet was made by an agent that was killed right after: the record knows.
        if (RoutingSnapshot.Device(name) is not DeviceSnapshot found || found.Alias == Alias
            || (_record is not null && found is { Kind: "tun", Alias: "" }))
        {
            return;
        }

        string owner = found.Alias.StartsWith(AliasPrefix, StringComparison.Ordinal)
            ? $"belongs to the agent with state directory {found.Alias[AliasPrefix.Length..]}"
            : $"exists and is not ours ({(found.Kind.Length == 0 ? "hardware" : found.Kind)})";
        throw new SteeringException($"Cannot use '{name}' as TUN device: an interface of that name {owner}. " +
            "Choose another name (tun.name), or remove it.");
    }

    private static void CheckFree(string device, SteeringOptions options)
    {
        string[] ours = [$"{options.LocalPriority} lookup local", $"{options.EmittedPriority} iif {device} goto {options.LocalPriority}"];
        foreach (bool ipv6 in Sysctls.KernelFamilies)
        {
            string family = ipv6 ? "IPv6" : "IPv4";
            if (Routes(ipv6, options).FirstOrDefault(route => !route.Text.Contains(device, StringComparison.Ordinal)) is { Text: not null } route)
            {
                throw new SteeringException(IsOurs(route, device)
                    ? $"Routing table {route.Table} has {family} route {route.Text}, as an agent leaves it whose state directory was removed. " +
                      "Run `clusterlb cleanup` with that --state-dir first."
                    : $"Routing table {route.Table} is in use by somebody else ({family} route {route.Text}). " +
                      "Choose other tables (steering.serviceTable, steering.markTable).");
            }

            if (Foreign(RoutingSnapshot.Rules(ipv6), options, ours).FirstOrDefault() is string rule)
            {
                throw new SteeringException($"An {family} routing rule of somebody else has a priority of ours ({rule}). " +
                    "Choose other priorities (steering.rulePriorities).");
            }
        }

        CheckFreeNft(InetTable);
    }

    private void RunIp(bool ipv6, List<string> commands)
    {
        if (commands.Count == 0)
        {
            return;
        }

        Tool.Run("ip", [RoutingSnapshot.Family(ipv6), "-batch", "-"], string.Join('\n', commands) + "\n");
        foreach (string command in commands)
        {
            Changed("ip", command);
        }
    }

    private void Changed(string what, string text)
    {
        _changes.Add($"{what} {text}");
        _log.LogDebug("Steering changed {What} {Text}", what, text);
    }
}
