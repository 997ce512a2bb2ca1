using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>klog's levels that Microsoft's have no name for: given as the event id of an information.</summary>
internal static class KlogLevel
{
    /// <summary>Written with -v=2 and more: the life cycle of parts, such as ports that are opened and closed.</summary>
    public static readonly EventId Lifecycle = new(2);
}
