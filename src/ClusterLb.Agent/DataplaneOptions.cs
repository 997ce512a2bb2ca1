namespace ClusterLb.Agent;

/// <summary>The dataplane process.</summary>
public sealed record DataplaneOptions
{
    /// <summary>Stop the dataplane when the agent is asked to end. Default: it goes on serving, as kube-proxy leaves its rules.</summary>
    public bool StopWithAgent { get; init; }

    /// <summary>Answer pings of ClusterIPs. Default: no, as kube-proxy.</summary>
    public bool AnswerPing { get; init; }
}
