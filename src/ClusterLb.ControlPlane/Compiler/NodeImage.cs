using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What the maps shall say about this node and the networks around it.</summary>
/// <param name="Networks">Blocks and what they are.</param>
/// <param name="Node">Everything but <see cref="NodeFlags.Synced"/>, which the reconcile loop adds.</param>
public sealed record NodeImage(IReadOnlyDictionary<IpPrefix, NetworkFlags> Networks, NodeEntry Node)
{
    /// <summary>Combines the inputs with this node's object, which may be missing.</summary>
    public static NodeImage Compile(NetworkInputs inputs, LocalNode? node)
    {
        ImmutableArray<IpPrefix> podRanges = inputs.Detection switch
        {
            LocalDetection.PodRanges or LocalDetection.Interfaces => inputs.PodRanges,
            LocalDetection.NodePodRanges => node?.PodRanges ?? [],
            _ => [],
        };

        IpAddr primary4 = Primary(inputs.PrimaryIpv4, inputs, node, isIpv4: true);
        IpAddr primary6 = Primary(inputs.PrimaryIpv6, inputs, node, isIpv4: false);

        var networks = new Dictionary<IpPrefix, NetworkFlags>();
        Add(networks, inputs.ServiceRanges, NetworkFlags.ServiceRange);
        Add(networks, podRanges, NetworkFlags.PodRange);
        Add(networks, inputs.BridgedRanges, NetworkFlags.BridgedPods);
        foreach (IpAddr address in inputs.NodeAddresses)
        {
            bool nodePorts = inputs.NodePortsOnPrimaryOnly
                ? address == primary4 || address == primary6
                : HasNodePorts(inputs.NodePortRanges, address);
            Add(networks, [IpPrefix.Host(address)], NetworkFlags.NodeAddress | (nodePorts ? NetworkFlags.NodePortAddress : NetworkFlags.None));
        }

        NodeFlags flags = (inputs.MasqueradeAll ? NodeFlags.MasqueradeAll : NodeFlags.None)
            | (inputs.AnswersPing ? NodeFlags.EchoReply : NodeFlags.None)
            | (inputs.DropsMidStream ? NodeFlags.DropMidStream : NodeFlags.None)
            | (HasLocalhostNodePorts(inputs) ? NodeFlags.LocalhostNodePorts : NodeFlags.None)
            | (inputs.Detection == LocalDetection.Interfaces ? NodeFlags.None : DetectionFlags(podRanges));

        return new NodeImage(networks, inputs.Timeouts with { PrimaryIpv4 = primary4, PrimaryIpv6 = primary6, Flags = flags });
    }

    /// <summary>As in kube-proxy, a family without a pod range has no detector.</summary>
    private static NodeFlags DetectionFlags(ImmutableArray<IpPrefix> podRanges) =>
        (podRanges.Any(r => r.Address.IsIpv4), podRanges.Any(r => !r.Address.IsIpv4)) switch
        {
            (true, true) => NodeFlags.None,
            (true, false) => NodeFlags.NoIpv6Detection,
            (false, true) => NodeFlags.NoIpv4Detection,
            _ => NodeFlags.NoLocalDetection,
        };

    /// <summary>Configured, else the Node object's first that the node really has, else the node's first of the family.</summary>
    private static IpAddr Primary(IpAddr? configured, NetworkInputs inputs, LocalNode? node, bool isIpv4)
    {
        if (configured is { } address)
        {
            return address;
        }

        IEnumerable<IpAddr> known = node is null ? [] : node.Addresses.Where(a => inputs.NodeAddresses.Contains(a));
        return known.Concat(inputs.NodeAddresses).FirstOrDefault(a => a.IsIpv4 == isIpv4 && IsMasqueradeAddress(a));
    }

    private static bool IsMasqueradeAddress(IpAddr address) => !address.IsLoopback && !address.IsLinkLocalOrMulticast;

    /// <summary>Asked for, and not left out by the ranges (R30).</summary>
    private static bool HasLocalhostNodePorts(NetworkInputs inputs) =>
        inputs.LocalhostNodePorts && !inputs.NodePortsOnPrimaryOnly && HasNodePorts(inputs.NodePortRanges, IpAddr.FromIpv4(0x7F00_0001));

    private static bool HasNodePorts(ImmutableArray<IpPrefix> ranges, IpAddr address)
    {
        bool anyOfFamily = ranges.Any(r => r.Address.IsIpv4 == address.IsIpv4);
        return !anyOfFamily || ranges.Any(r => r.Contains(address));
    }

    private static void Add(Dictionary<IpPrefix, NetworkFlags> networks, ImmutableArray<IpPrefix> blocks, NetworkFlags flags)
    {
        foreach (IpPrefix block in blocks)
        {
            networks[block] = networks.GetValueOrDefault(block) | flags;
        }
    }
}
