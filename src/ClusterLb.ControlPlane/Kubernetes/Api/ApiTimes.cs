namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How long the client waits. Constants for operators; tests turn them.</summary>
internal sealed record ApiTimes
{
    /// <summary>TCP and TLS together.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>From a request to the head of its answer.</summary>
    public TimeSpan Answer { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Between two reads of a list, streamed or in pages. A watch may be silent: pings and its end guard it.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Between two HTTP/2 pings on a connection with requests.</summary>
    public TimeSpan Ping { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a ping may take, after which the connection is given up.</summary>
    public TimeSpan PingAnswer { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A watch is asked to end after this, or up to twice as much, so that not all clients come back together.</summary>
    public TimeSpan Watch { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How much longer than asked for a watch may take.</summary>
    public TimeSpan WatchGrace { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>First wait after a failure; doubles up to <see cref="MaxBackoff"/>, each with up to as much again at random.</summary>
    public TimeSpan MinBackoff { get; init; } = TimeSpan.FromMilliseconds(800); // as client-go

    /// <summary>Longest wait, before the random part.</summary>
    public TimeSpan MaxBackoff { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a server that cannot stream lists is believed to be unable to: it may be upgraded, or be one of several.</summary>
    public TimeSpan Streams { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How often a server is asked again for what it does not offer.</summary>
    public TimeSpan NotOffered { get; init; } = TimeSpan.FromMinutes(5);
}
