using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Masqueraded connections have ports that the kernel gives to no connection of the node itself.</summary>
internal sealed class SourcePortCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "source ports";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        SnatPortRanges configured = SnatPortRanges.TryParse(node.Record?.SnatPorts ?? "", out SnatPortRanges said) ? said : SnatPortRanges.Default;
        return Judge(configured, node.InMaps?.SnatPorts.OrDefault, Sysctls.LocalPortRange(), Sysctls.Read(Sysctls.ReservedPorts), node.Agent is not null);
    }

    /// <summary>What there is to say about these ports.</summary>
    /// <param name="configured">conntrack.snatPorts.</param>
    /// <param name="used">Those that the dataplane uses; null if nothing is installed.</param>
    /// <param name="ephemeral">net.ipv4.ip_local_port_range.</param>
    /// <param name="reserved">net.ipv4.ip_local_reserved_ports.</param>
    /// <param name="hasAgent">An agent runs, which follows these settings.</param>
    internal static Finding Judge(SnatPortRanges configured, SnatPortRanges? used, (int First, int Last) ephemeral, string? reserved, bool hasAgent)
    {
        string kernel = $"to this node's own connections (net.ipv4.ip_local_port_range is {ephemeral.First}-{ephemeral.Last})";
        if (used is { } ports && SourcePorts.Taken(ports, ephemeral, reserved) is { } clash)
        {
            return Finding.Failed($"masqueraded connections get {ports}, but the kernel gives {clash} {kernel}",
                "a connection of the node to a pod (a probe) and a masqueraded one can have the same port: then one of them hangs",
                hasAgent ? "the agent follows within seconds; if it does not, its log says why" : "start the agent: it uses others");
        }

        SnatPortRanges spared = used ?? SourcePorts.Of(configured, ephemeral, reserved);
        string text = $"{spared}: {spared.Count} to each backend";
        return spared.Count >= configured.Count
            ? Finding.Ok($"{text}; the kernel gives others {kernel}")
            : Finding.Warning($"{text}; {configured} are configured, but the kernel gives some of them {kernel}",
                "fewer masqueraded connections to one backend at a time",
                "narrow net.ipv4.ip_local_port_range, or take a part of it out by net.ipv4.ip_local_reserved_ports");
    }
}
