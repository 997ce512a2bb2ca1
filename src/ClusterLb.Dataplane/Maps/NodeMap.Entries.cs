namespace ClusterLb.Dataplane.Maps;

/// <summary>What a block of addresses is. An address is the union of all blocks that contain it.</summary>
[Flags]
public enum NetworkFlags : uint
{
    /// <summary>Nothing known.</summary>
    None = 0,

    /// <summary>Service addresses come from here: an unknown one is dropped, never passed on.</summary>
    ServiceRange = 1,

    /// <summary>Pods of any node (the cluster CIDR of detectLocal).</summary>
    PodRange = 2,

    /// <summary>An address of this node.</summary>
    NodeAddress = 4,

    /// <summary>A node address on which node ports answer.</summary>
    NodePortAddress = 8,

    /// <summary>Pods on a bridge of this node that switches their answers to each other past us: between two of them, masquerade.</summary>
    BridgedPods = 16,
}

/// <summary>Switches of the node map.</summary>
[Flags]
public enum NodeFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The first complete sync is done: the maps tell the whole truth.</summary>
    Synced = 1,

    /// <summary>Masquerade all ClusterIP traffic.</summary>
    MasqueradeAll = 2,

    /// <summary>No local traffic detector: nobody is known to be a pod, and ClusterIP traffic is never masqueraded.</summary>
    NoLocalDetection = 4,

    /// <summary>Answer ICMP echo requests to the addresses of services that are marked: ClusterIPs, load balancers'.</summary>
    EchoReply = 8,

    /// <summary>Node ports answer on 127.0.0.1.</summary>
    LocalhostNodePorts = 16,

    /// <summary>As <see cref="NoLocalDetection"/>, for IPv4 alone: no pod range of it is known.</summary>
    NoIpv4Detection = 32,

    /// <summary>As <see cref="NoLocalDetection"/>, for IPv6 alone: no pod range of it is known.</summary>
    NoIpv6Detection = 64,

    /// <summary>A TCP segment in the middle of a connection that is not known is dropped; else it is answered by a reset.</summary>
    DropMidStream = 128,
}

/// <summary>The one value of the node map (key 0): what the dataplane must know of its node. Times in seconds.</summary>
public readonly record struct NodeEntry
{
    /// <summary>Masquerade address of IPv4; the default value (not <see cref="IpAddr.IsIpv4"/>) if the node has none.</summary>
    public IpAddr PrimaryIpv4 { get; init; }

    /// <summary>Masquerade address of IPv6; the default value (::) if the node has none.</summary>
    public IpAddr PrimaryIpv6 { get; init; }

    /// <summary>Switches.</summary>
    public NodeFlags Flags { get; init; }

    /// <summary>SYN seen, no answer yet.</summary>
    public uint TcpSynTimeoutSeconds { get; init; }

    /// <summary>Established TCP.</summary>
    public uint TcpEstablishedTimeoutSeconds { get; init; }

    /// <summary>FIN in both directions, or RST.</summary>
    public uint TcpClosingTimeoutSeconds { get; init; }

    /// <summary>UDP with packets in one direction only.</summary>
    public uint UdpTimeoutSeconds { get; init; }

    /// <summary>UDP with packets in both directions.</summary>
    public uint UdpStreamTimeoutSeconds { get; init; }

    /// <summary>SCTP and everything else.</summary>
    public uint GenericTimeoutSeconds { get; init; }

    /// <summary>Source ports of masqueraded flows; the default value means the usual ones.</summary>
    public SnatPortRanges SnatPorts { get; init; }

    /// <summary>kube-proxy's and the kernel's customary values, nothing known of the node.</summary>
    public static NodeEntry Default => new()
    {
        TcpSynTimeoutSeconds = 60,
        TcpEstablishedTimeoutSeconds = 86_400,
        TcpClosingTimeoutSeconds = 10,
        UdpTimeoutSeconds = 30,
        UdpStreamTimeoutSeconds = 180,
        GenericTimeoutSeconds = 60,
    };
}
