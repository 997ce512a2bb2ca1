using ClusterLb.Agent.Capabilities;

namespace ClusterLb.Agent.Doctor;

/// <summary>What <c>doctor</c> found on this node.</summary>
/// <param name="Checks">In the order of <see cref="NodeDoctor"/>: what everything needs comes first.</param>
/// <param name="Capabilities">What the kernel and the machine can do.</param>
public sealed record DoctorReport(IReadOnlyList<CheckResult> Checks, IReadOnlyList<Capability> Capabilities)
{
    /// <summary>No check has failed; warnings do not count.</summary>
    public bool IsHealthy => Checks.All(check => check.Verdict != CheckVerdict.Failed);
}
