using ClusterLb.Dataplane.Maps;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

public sealed partial class NodeSteering
{
    /// <summary>True if the state directory belongs to another network namespace, where its steering may still be.</summary>
    public bool IsElsewhere => _file.IsElsewhere();

    /// <summary>Leaves the node as it was found: nft, rules, routes, settings, device. What is not there is no error.</summary>
    /// <remarks>Goes by steering.json; without one nothing is removed, unless <see cref="FindLeftovers"/> found something.</remarks>
    /// <returns>False if there was nothing to remove.</returns>
    /// <exception cref="SteeringException">Something could not be removed; the rest was, and the record stays for another try.</exception>
    public bool Remove()
    {
        if (!RemoveRouting())
        {
            return false;
        }

        RemoveDevice();
        Forget();
        return true;
    }

    /// <summary>The first part of <see cref="Remove"/>: all but the device, which a dataplane may still serve.</summary>
    /// <returns>False if there was nothing to remove.</returns>
    /// <exception cref="SteeringException">Something could not be removed; the rest was, and the record stays for another try.</exception>
    internal bool RemoveRouting()
    {
        _record ??= _file.Load();
        if (_record is null)
        {
            _file.Delete(); // a record of another boot
            return false;
        }

        var failures = new List<string>();
        Attempt(failures, RemoveForwarding);
        if (Record.BridgeNft is not null)
        {
            Attempt(failures, () => RemoveNft(BridgeTable));
        }

        Attempt(failures, () => RemoveNft(InetTable));
        foreach (bool ipv6 in new[] { true, false })
        {
            if (Record.FoundRules(ipv6) is { } found)
            {
                Attempt(failures, () => RemoveRules(ipv6, found));
            }

            // Routes come before the rules are looked at: an agent killed in between has left them, in tables that Claim found free.
            if (!ipv6 || Sysctls.KernelHasIpv6)
            {
                Attempt(failures, () => RemoveRoutes(ipv6));
            }
        }

        Attempt(failures, RestoreReservedPorts);
        Attempt(failures, RestoreSysctls);
        return failures.Count == 0
            ? true
            : throw new SteeringException($"Not everything could be removed: {string.Join(" ", failures)} Run `clusterlb cleanup` again.");
    }

    /// <summary>The second part of <see cref="Remove"/>.</summary>
    /// <exception cref="SteeringException">It could not be removed.</exception>
    internal void RemoveDevice()
    {
        // Between claim and creation a stranger's device of that name may have come: ours has a name tag, or is a bare TUN device.
        if (RoutingSnapshot.Device(Record.Device) is { Kind: "tun" } device && (device.Alias == Alias || device.Alias.Length == 0))
        {
            Tool.Run("ip", ["link", "del", Record.Device], tolerate: "Cannot find device");
        }
    }

    /// <summary>The last part of <see cref="Remove"/>: all is as it was found.</summary>
    internal void Forget()
    {
        _file.Delete();
        _record = null;
    }

    private void Attempt(List<string> failures, Action step)
    {
        try
        {
            step();
        }
        catch (SteeringException e)
        {
            _log.LogError("Steering could not be removed {Reason}", e.Message);
            failures.Add(e.Message);
        }
    }

    private void RemoveRules(bool ipv6, List<string> found)
    {
        IReadOnlyList<string> present = RoutingSnapshot.Rules(ipv6);
        var inputs = new SteeringInputs
        {
            Device = Record.Device,
            Options = Record.Options,
            Mtu = 0,
            Ipv4 = ipv6 ? null : new SteeringFamily { IsIpv6 = false },
            Ipv6 = ipv6 ? new SteeringFamily { IsIpv6 = true } : null,
        };
        var commands = new List<string>();
        if (found.Contains(SteeringPlan.KernelLocalRule) && !present.Contains(SteeringPlan.KernelLocalRule))
        {
            // Back before the moved one goes: not for a moment without local addresses.
            commands.Add($"rule add pref {SteeringPlan.KernelLocalRule} protocol kernel");
        }

        commands.AddRange(SteeringPlan.For(inputs).RulesOfFamily[ipv6].Reverse()
            .Where(rule => present.Contains(rule) && !found.Contains(rule))
            .Select(rule => $"rule del pref {rule}"));
        RunIp(ipv6, commands);
    }

    private void RemoveRoutes(bool ipv6) =>
        RunIp(ipv6, [.. Routes(ipv6, Record.Options).Where(route => IsOurs(route, Record.Device)).Select(route => $"route del {route.Text} table {route.Table}")]);

    private void RestoreReservedPorts()
    {
        if (Record.ReservedPorts is not string before)
        {
            return;
        }

        // Others may have reserved more since: only what we added goes.
        PortRanges ports = PortRanges.Parse(Sysctls.Read(Sysctls.ReservedPorts));
        var added = PortRanges.Parse(Record.AddedReservedPorts ?? $"{SnatPortRanges.Default.First}-{SnatPortRanges.Default.Last}");
        ports.Remove(added);
        ports.CopyFrom(PortRanges.Parse(before), added);
        Sysctls.Write(Sysctls.ReservedPorts, ports.ToString() is { Length: > 0 } text ? text : "\n");
    }

    private void RestoreSysctls()
    {
        // In the order of writing: "all" writes every interface's setting, which then gets its own value back.
        foreach ((string name, string value) in Record.Sysctls)
        {
            if (Sysctls.Read(name) is string present && present != value)
            {
                Sysctls.Write(name, value);
            }
        }
    }
}
