namespace ClusterLb.Agent;

/// <summary>What a line of the log looks like (logging.format of kube-proxy).</summary>
public enum LogFormat
{
    /// <summary>klog's header, the message in quotes, the values as key="value".</summary>
    Text,

    /// <summary>One JSON object per line: ts, caller, msg, v, and the values.</summary>
    Json,
}
