namespace ClusterLb.ControlPlane.Model;

/// <summary>A share of a service's new connections for another service of its namespace (annotation clusterlb.io/split).</summary>
/// <param name="Canary">The other service: port names are the same there.</param>
/// <param name="Percent">From 1 to 100.</param>
public sealed record TrafficSplit(ObjectName Canary, int Percent)
{
    /// <summary>The field of a Service that asks for it, as problems name it.</summary>
    public const string Field = "metadata.annotations[clusterlb.io/split]";
}
