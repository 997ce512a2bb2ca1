namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Whether hints narrowed the ready backends of a service port, and why they did not (R13).</summary>
/// <param name="Mode">What was used.</param>
/// <param name="Why">One line: <c>zone mode off: 2 of 6 endpoints lack hints: 10.244.1.5, 10.244.1.6</c>.</param>
public sealed record TopologyDecision(TopologyMode Mode, string Why);

/// <summary>By what hints a service port's backends are narrowed.</summary>
public enum TopologyMode : byte
{
    /// <summary>Not at all.</summary>
    Off = 0,

    /// <summary>endpoints[].hints.forNodes.</summary>
    Node = 1,

    /// <summary>endpoints[].hints.forZones.</summary>
    Zone = 2,
}
