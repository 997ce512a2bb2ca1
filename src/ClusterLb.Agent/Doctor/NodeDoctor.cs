using ClusterLb.Agent.Capabilities;
using ClusterLb.Agent.Doctor.Checks;

namespace ClusterLb.Agent.Doctor;

/// <summary>Looks at this node for whatever keeps Service traffic from flowing, and says what it costs and what to do.</summary>
/// <remarks>To add a check: a class in <c>Checks/</c>, a line here, a row in docs/doctor.md.</remarks>
public static class NodeDoctor
{
    /// <summary>All of them: first what everything else rests on.</summary>
    internal static IReadOnlyList<ICheck> Checks { get; } =
    [
        new PrerequisitesCheck(),
        new AgentCheck(),
        new DataplaneCheck(),
        new SteeringCheck(),
        new ForwardingCheck(),
        new ReversePathCheck(),
        new BridgeCheck(),
        new ForwardPolicyCheck(),
        new MasqueradeCheck(),
        new MarkBitsCheck(),
        new KubeProxyCheck(),
        new KernelConntrackCheck(),
        new NetworkPolicyCheck(),
    ];

    /// <summary>Runs all checks in the network namespace of the calling process.</summary>
    /// <param name="stateDirectory">DIR. It need not exist: a node can be looked at before anything is installed.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="AgentException">The state directory is of another version.</exception>
    public static async Task<DoctorReport> ExamineAsync(string stateDirectory, CancellationToken cancellation = default)
    {
        NodeFacts node = await NodeFacts.ReadAsync(stateDirectory, cancellation);
        var results = new List<CheckResult>();
        foreach (ICheck check in Checks)
        {
            cancellation.ThrowIfCancellationRequested();
            results.Add(Run(check, node));
        }

        return new DoctorReport(results, CapabilityProbe.Read(node.Device));
    }

    /// <summary>One check; whatever keeps it from looking is its finding, so that the others are still told.</summary>
    internal static CheckResult Run(ICheck check, NodeFacts node)
    {
        Finding finding;
        try
        {
            finding = check.Look(node);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            bool isRight = e is UnauthorizedAccessException || e.InnerException is UnauthorizedAccessException;
            finding = Finding.Warning($"could not look: {e.Message}", "not known", isRight ? "run as root" : "");
        }

        return new CheckResult(check.Name, finding.Verdict, finding.Text, finding.Cost, finding.Advice);
    }
}
