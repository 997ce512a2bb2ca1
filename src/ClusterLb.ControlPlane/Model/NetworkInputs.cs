using System.Collections.Immutable;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Model;

/// <summary>What the agent knows of the network beside Kubernetes objects: from configuration and netlink. Replaced whole on a change.</summary>
public sealed record NetworkInputs
{
    /// <summary>Where service addresses come from.</summary>
    public ImmutableArray<IpPrefix> ServiceRanges { get; init; } = [];

    /// <summary>The cluster CIDRs: pods of all nodes. With <see cref="LocalDetection.Interfaces"/> what lies behind the interfaces of this node's pods.</summary>
    public ImmutableArray<IpPrefix> PodRanges { get; init; } = [];

    /// <summary>Addresses of pods on bridges from which answers cannot be taken up: between two of them services are masqueraded.</summary>
    public ImmutableArray<IpPrefix> BridgedRanges { get; init; } = [];

    /// <summary>How pods are told from others. With ranges that are empty in a family, nobody is a pod in it.</summary>
    public LocalDetection Detection { get; init; }

    /// <summary>All addresses of this node. Loopback addresses need not be listed.</summary>
    public ImmutableArray<IpAddr> NodeAddresses { get; init; } = [];

    /// <summary>Masquerade address of IPv4 if it is configured. Else the Node object's, if the node has it, else the first.</summary>
    public IpAddr? PrimaryIpv4 { get; init; }

    /// <summary>Masquerade address of IPv6 if it is configured. Else the Node object's, if the node has it, else the first.</summary>
    public IpAddr? PrimaryIpv6 { get; init; }

    /// <summary>Blocks whose node addresses answer on node ports. Without one of a family: all addresses of it (R29).</summary>
    public ImmutableArray<IpPrefix> NodePortRanges { get; init; } = [];

    /// <summary>Node ports answer on the primary addresses only; <see cref="NodePortRanges"/> is not used.</summary>
    public bool NodePortsOnPrimaryOnly { get; init; }

    /// <summary>Node ports answer on 127.0.0.1 too.</summary>
    public bool LocalhostNodePorts { get; init; } = true;

    /// <summary>Pings of ClusterIPs and load balancers' addresses are answered.</summary>
    public bool AnswersPing { get; init; }

    /// <summary>External IPs of services are frontends.</summary>
    public bool ServesExternalIps { get; init; } = true;

    /// <summary>TCP segments of connections that are not known are dropped instead of reset.</summary>
    public bool DropsMidStream { get; init; }

    /// <summary>Masquerade all ClusterIP traffic.</summary>
    public bool MasqueradeAll { get; init; }

    /// <summary>Node ports answer on some addresses of the family only, not on whatever the node has.</summary>
    public bool RestrictsNodePorts(bool isIpv4)
    {
        IpPrefix[] ranges = [.. NodePortRanges.Where(range => range.Address.IsIpv4 == isIpv4)];
        return NodePortsOnPrimaryOnly || (ranges.Length > 0 && !Array.Exists(ranges, range => range.Length == 0));
    }

    /// <summary>Flow timeouts; addresses and flags of it are ignored.</summary>
    public NodeEntry Timeouts { get; init; } = NodeEntry.Default;
}
