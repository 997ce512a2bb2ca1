namespace ClusterLb.ControlPlane.Model;

/// <summary>What changed since the last look.</summary>
/// <param name="IsSourceComplete">Before, no service may be written.</param>
/// <param name="Services">Services to compile again; some may be gone.</param>
/// <param name="Observed">What made them so, in the order in which it came; not everything, if it was a lot.</param>
/// <param name="NetworkChanged">The node or the network inputs changed.</param>
/// <param name="Node">As it is now.</param>
/// <param name="Network">As they are now; null while nobody has said.</param>
/// <param name="NetworkVersion">Of <paramref name="Network"/>.</param>
internal sealed record StateChanges(
    bool IsSourceComplete, HashSet<ObjectName> Services, List<ObservedChange> Observed,
    bool NetworkChanged, LocalNode? Node, NetworkInputs? Network, long NetworkVersion);
