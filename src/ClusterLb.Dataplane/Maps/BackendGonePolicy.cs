namespace ClusterLb.Dataplane.Maps;

/// <summary>What becomes of a TCP connection whose backend has left its service (docs/conntrack.md). Decided when it begins.</summary>
public enum BackendGonePolicy : byte
{
    /// <summary>As the configuration says; there, as <see cref="Drain"/>.</summary>
    Default = 0,

    /// <summary>It goes on for as long as the backend answers; when it does not, the client is reset.</summary>
    Drain = 1,

    /// <summary>As <see cref="Drain"/>, but the client is reset as soon as the backend has left all services, answer or not. Not being
    /// ready is not leaving.</summary>
    Reset = 2,

    /// <summary>Nothing: the client finds out by itself, as with kube-proxy.</summary>
    Keep = 3,
}

/// <summary>How a policy stands in slot 0 of a frontend.</summary>
public static class BackendGonePolicies
{
    /// <summary>The flags of a policy; none for <see cref="BackendGonePolicy.Drain"/>.</summary>
    public static ServiceFlags ToFlags(this BackendGonePolicy policy) => policy switch
    {
        BackendGonePolicy.Reset => ServiceFlags.ResetIfGone,
        BackendGonePolicy.Keep => ServiceFlags.KeepIfGone,
        _ => ServiceFlags.None,
    };

    /// <summary>The inverse of <see cref="ToFlags"/>.</summary>
    public static BackendGonePolicy Of(ServiceFlags flags) =>
        flags.HasFlag(ServiceFlags.ResetIfGone) ? BackendGonePolicy.Reset
        : flags.HasFlag(ServiceFlags.KeepIfGone) ? BackendGonePolicy.Keep
        : BackendGonePolicy.Drain;
}
