using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Explain;

/// <summary>Puts what the pipeline did into words. It reads the same maps, but decides nothing.</summary>
internal sealed class Wording(LbMaps maps, FlowTuple tuple)
{
    private readonly NodeEntry _node = maps.Node.TryLookup(0, out NodeEntry node) ? node : NodeEntry.Default;

    /// <summary>What the maps know of the source address.</summary>
    public string SourceKind => KindOf(maps.Classify(tuple.Source) | (tuple.Source.IsLoopback ? NetworkFlags.NodeAddress : NetworkFlags.None), "outside of the cluster");

    /// <summary>What the maps know of the destination address.</summary>
    public string DestinationKind => KindOf(maps.Classify(tuple.Destination), "no address of services, pods or this node");

    /// <summary>A pod (where pods can be told) or this node.</summary>
    public bool IsInsideCluster => Sender.Of(maps, tuple.Source, _node.Flags).IsInsideCluster;

    private bool DetectsPods =>
        (_node.Flags & (NodeFlags.NoLocalDetection | (tuple.IsIpv4 ? NodeFlags.NoIpv4Detection : NodeFlags.NoIpv6Detection))) == NodeFlags.None;

    /// <summary><c>10.96.0.10:80/TCP</c>.</summary>
    public static string AddressOf(IpAddr address, ushort port, IpProtocol protocol) => $"{address.WithPort(port)}/{ProtocolOf(protocol)}";

    /// <summary>Address and port; of ICMP, which has no ports, the address alone.</summary>
    public static string EndOf(IpAddr address, ushort port, IpProtocol protocol) =>
        protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 ? address.ToString() : address.WithPort(port);

    /// <summary>TCP, UDP, SCTP, ICMP, ICMPV6, ANY.</summary>
    public static string ProtocolOf(IpProtocol protocol) => protocol.ToString().ToUpperInvariant();

    /// <summary>forward, reject, drop, pass.</summary>
    public static string VerdictOf(Verdict verdict) => verdict.ToString().ToLowerInvariant();

    /// <summary>The kind of a frontend.</summary>
    public static string TypeOf(ServiceFlags flags) => flags switch
    {
        _ when flags.HasFlag(ServiceFlags.LoadBalancer) => "LoadBalancer",
        _ when flags.HasFlag(ServiceFlags.NodePort) => "NodePort",
        _ when flags.HasFlag(ServiceFlags.ExternalIp) => "ExternalIP",
        _ => "ClusterIP",
    };

    /// <summary>One sentence.</summary>
    public static string Why(in ProbeResult result, ExplainedFrontend? frontend) => result.Verdict switch
    {
        Verdict.Forward when frontend is null => "The dataplane answers for this address itself.",
        Verdict.Forward => $"The destination is a frontend of {NameOf(frontend)}, which has backends for this source.",
        Verdict.Pass => "The destination is no frontend of a service, so the packet is left alone and routed on.",
        _ => WhyNot(result.Meta.DropReason, frontend),
    };

    /// <summary>A few words; <paramref name="isMasqueraded"/> is what the pipeline did.</summary>
    public string MasqueradeWhy(bool isMasqueraded, FlowTuple sent, ExplainedFrontend? frontend)
    {
        bool isClusterIp = frontend is null or { Type: "ClusterIP" };
        if (!isMasqueraded)
        {
            return isClusterIp && !DetectsPods && !_node.Flags.HasFlag(NodeFlags.MasqueradeAll)
                ? "client address kept: pods are not told from others (detectLocal is off)"
                : "client address kept: the answer comes back to this node by itself";
        }

        if (sent.Destination == tuple.Source)
        {
            return "hairpin: client and backend are the same pod, so the answer must be made to come back";
        }

        if (!isClusterIp)
        {
            return frontend!.Scope == "internal"
                ? "this node itself dials a frontend of policy Local: the backend may be on another node, and the answer must come back here"
                : "traffic policy Cluster: the backend may be on another node, and the answer must come back to this one";
        }

        bool isBridged = maps.Classify(tuple.Source).HasFlag(NetworkFlags.BridgedPods) && maps.Classify(sent.Destination).HasFlag(NetworkFlags.BridgedPods);
        return isBridged
            ? "client and backend are ports of one bridge, which would switch the answer past this node"
            : _node.Flags.HasFlag(NodeFlags.MasqueradeAll)
            ? "masquerade-all is configured"
            : "the client is not a pod, so the answer must be made to come back to this node";
    }

    /// <summary>What led to a backend.</summary>
    public static string ChosenBy(Selection selection) => selection.Kind switch
    {
        SelectionKind.Pinned => "session affinity: the client has been there before",
        SelectionKind.RoundRobin => "its turn",
        SelectionKind.LeastConnections => "no other backend has fewer active flows",
        SelectionKind.ShortestExpectedDelay => "no other backend has a shorter expected delay: fewer active flows",
        SelectionKind.Maglev => $"the hash of the flow: slot {selection.Slot} of the Maglev table",
        SelectionKind.SourceHash => $"the hash of the client's address: slot {selection.Slot} of the Maglev table",
        SelectionKind.DestinationHash => $"the hash of what is dialled: slot {selection.Slot} of the Maglev table",
        SelectionKind.HashWithoutTable => "a hash, among the slots (there is no Maglev table: not built yet, or the map is full)",
        _ => "at random",
    };

    private static string WhyNot(DropReason reason, ExplainedFrontend? frontend) => reason switch
    {
        DropReason.NoBackend => $"{NameOf(frontend)} has no usable endpoint anywhere; the client is told (connection refused).",
        DropReason.NoLocalBackend => $"{NameOf(frontend)} has usable endpoints, but none on this node, and its traffic policy is Local.",
        DropReason.UnknownServicePort => "The address belongs to a service, but the service does not have this port and protocol; the client is told.",
        DropReason.UnknownServiceAddress => "The address lies in a service range, but no service has it.",
        DropReason.NotInSourceRange => $"The source is outside of the loadBalancerSourceRanges of {NameOf(frontend)}.",
        DropReason.NotSynced => "The first complete sync is not done, so nobody knows yet whether there is such a service.",
        DropReason.NoMasqueradeAddress => "The packet must be masqueraded, but this node's address of its family is not known.",
        DropReason.UnknownProtocol => "No service can have this protocol.",
        DropReason.NotRoutable => "Link-local and multicast addresses are never meant for a service, and nobody has a service address to send from.",
        _ => $"Refused by the dataplane: {reason}.",
    };

    private static string NameOf(ExplainedFrontend? frontend) => frontend switch
    {
        null => "the service",
        { Service.Length: > 0 } => frontend.Service,
        _ => frontend.Address,
    };

    private static string KindOf(NetworkFlags flags, string otherwise)
    {
        List<string> kinds = [];
        if (flags.HasFlag(NetworkFlags.ServiceRange))
        {
            kinds.Add("service range");
        }

        if (flags.HasFlag(NetworkFlags.NodeAddress))
        {
            kinds.Add("this node");
        }

        if (flags.HasFlag(NetworkFlags.PodRange))
        {
            kinds.Add("pod range");
        }

        return kinds.Count == 0 ? otherwise : string.Join(", ", kinds);
    }
}
