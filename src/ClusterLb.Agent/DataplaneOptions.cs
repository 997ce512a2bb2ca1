namespace ClusterLb.Agent;

/// <summary>The dataplane process.</summary>
public sealed record DataplaneOptions
{
    /// <summary>Stop the dataplane when the agent is asked to end. Default: it goes on serving, as kube-proxy leaves its rules.</summary>
    public bool StopWithAgent { get; init; }

    /// <summary>Answer pings of cluster IPs and load balancer addresses. Default: no, as kube-proxy.</summary>
    public bool AnswerPing { get; init; }

    /// <summary>Keep a second process that serves at once should the dataplane end. Default: yes; it costs some 30 MiB.</summary>
    public bool WithSuccessor { get; init; } = true;

    /// <summary>Priority of the dataplane for a processor, and of the agent until a dataplane serves: −20 (first) to 19 (last). Default: −10,
    /// as packets that only the kernel handles come before any process.</summary>
    public int Nice { get; init; } = -10;

    /// <summary>In a container: where the node's /sys/fs/cgroup is mounted, so that the dataplane outlives the container. Default: empty, it stays in it.</summary>
    public string CgroupRoot { get; init; } = "";
}
