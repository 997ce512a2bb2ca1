namespace ClusterLb.ControlPlane.Model;

/// <summary>One change of one object on its way to the maps.</summary>
/// <param name="ServiceName">Whose entries it changes.</param>
/// <param name="Object">Namespace and name of what changed.</param>
/// <param name="Kind"><see cref="Service"/> or <see cref="Slice"/>.</param>
/// <param name="Family">IPv4 or IPv6; empty for a service.</param>
/// <param name="Times">When it happened and when its bytes were here.</param>
internal sealed record ObservedChange(ObjectName ServiceName, ObjectName Object, string Kind, string Family, ChangeTimes Times)
{
    public const string Service = "Service";

    public const string Slice = "EndpointSlice";

    /// <summary>When it was in the store, as <see cref="TimeProvider.GetTimestamp"/> counts.</summary>
    public long Queued { get; init; }

    /// <summary>How long the runtime had stopped all threads to collect garbage until then.</summary>
    public TimeSpan Paused { get; init; }

    /// <summary>The object is gone.</summary>
    public bool IsRemoval { get; init; }
}
