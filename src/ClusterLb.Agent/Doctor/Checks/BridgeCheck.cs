using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>How pods are attached: routed, or as ports of a Linux bridge, which would switch answers past the node.</summary>
internal sealed class BridgeCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "bridged pods";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        NodeNetwork network = NodeNetwork.Read();

        // The agent knows where pods are. Without one: where the last one was told to look, else every bridge with ports counts.
        IpPrefix[] pods = [.. (node.Record?.ClusterCidrs ?? []).Select(IpPrefix.Parse)];
        BridgeStatus[] bridges = node.Agent is { Steering: { Installed: true } steering }
            ? [.. steering.Bridges]
            : [.. PodBridge.Find(network, pods, node.Options.BridgedPods, NodeSteering.CanTakeUpFromBridges).Select(b => new BridgeStatus(b.Name, b.Subnet.ToString(), b.Fix))];
        if (bridges.Length == 0)
        {
            int routed = network.Interfaces.Count(link => link is { Kind: "veth", MasterIndex: 0 });
            return Finding.Ok($"none: pods are routed ({routed} veth {(routed == 1 ? "interface" : "interfaces")} without a bridge)");
        }

        BridgeFix worst = bridges.Max(bridge => bridge.Fix);
        BridgeWords words = BridgeWords.Of(worst);
        string text = string.Join("; ", bridges.GroupBy(bridge => bridge.Fix).OrderBy(group => group.Key)
            .Select(group => $"{string.Join(", ", group.Select(bridge => $"{bridge.Name} {bridge.Subnet}"))}: {BridgeWords.Of(group.Key).What}"));
        return new Finding(worst == BridgeFix.Masquerade ? CheckVerdict.Warning : CheckVerdict.Ok, text, words.Cost, words.Advice);
    }
}
