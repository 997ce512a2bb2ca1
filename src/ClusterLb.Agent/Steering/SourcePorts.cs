using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>Which source ports of masqueraded connections this node can spare: what conntrack.snatPorts says, without those of its own connections.</summary>
/// <remarks>
/// The dataplane does not see connections that the node makes itself (probes of its pods). One of them and a masqueraded one with the
/// same port to the same backend would have one tuple, and the later one hangs. So each port is the node's or ours. The first range is
/// ours: steering takes it out of the kernel's hands (net.ipv4.ip_local_reserved_ports). Of the second, which is large, what the
/// kernel hands out stays the node's: who widens net.ipv4.ip_local_port_range wants these ports for the node.
/// </remarks>
internal static class SourcePorts
{
    /// <summary>Those that masqueraded connections get, as the kernel's settings are now. Runs no program.</summary>
    /// <exception cref="SteeringException">A setting cannot be read.</exception>
    public static SnatPortRanges Of(SnatPortRanges configured) => Of(configured, Sysctls.LocalPortRange(), Sysctls.Read(Sysctls.ReservedPorts));

    /// <summary>Those that masqueraded connections get: the first range, and the longest run of the second one that is left.</summary>
    /// <param name="configured">conntrack.snatPorts.</param>
    /// <param name="ephemeral">net.ipv4.ip_local_port_range; of IPv6, too.</param>
    /// <param name="reserved">net.ipv4.ip_local_reserved_ports.</param>
    public static SnatPortRanges Of(SnatPortRanges configured, (int First, int Last) ephemeral, string? reserved)
    {
        var own = new SnatPortRanges(configured.First, configured.Last);
        if (!configured.HasSecond)
        {
            return own;
        }

        PortRanges kept = PortRanges.Parse(reserved);
        (int longestFirst, int longest) = (0, 0);
        int first = configured.SecondFirst;
        for (int port = first; port <= configured.SecondLast; port++)
        {
            if (port >= ephemeral.First && port <= ephemeral.Last && !kept.Contains(port, port))
            {
                first = port + 1;
            }
            else if (port - first + 1 > longest)
            {
                (longestFirst, longest) = (first, port - first + 1);
            }
        }

        return longest == 0 ? own : own with { SecondFirst = (ushort)longestFirst, SecondLast = (ushort)(longestFirst + longest - 1) };
    }

    /// <summary>The ports of a range that the kernel gives to connections of this node itself, as text; null if there are none.</summary>
    /// <param name="ports">Of masqueraded connections.</param>
    /// <param name="ephemeral">net.ipv4.ip_local_port_range.</param>
    /// <param name="reserved">net.ipv4.ip_local_reserved_ports.</param>
    public static string? Taken(SnatPortRanges ports, (int First, int Last) ephemeral, string? reserved)
    {
        PortRanges kept = PortRanges.Parse(reserved);
        return ports.Ranges()
            .Select(range => (First: Math.Max(range.First, ephemeral.First), Last: Math.Min(range.Last, ephemeral.Last)))
            .Where(shared => shared.First <= shared.Last && !kept.Contains(shared.First, shared.Last))
            .Select(shared => $"{shared.First}-{shared.Last}")
            .FirstOrDefault();
    }
}
