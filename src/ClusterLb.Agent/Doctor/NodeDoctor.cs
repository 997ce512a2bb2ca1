using ClusterLb.Agent.Capabilities;
using ClusterLb.Agent.Doctor.Checks;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Doctor;

/// <summary>Looks at this node for whatever keeps Service traffic from flowing, and says what it costs and what to do.</summary>
/// <remarks>To add a check: a class in <c>Checks/</c>, a line here, a row in docs/doctor.md.</remarks>
public static class NodeDoctor
{
    /// <summary>Those about what else is on the node, which the agent looks at too when it starts.</summary>
    internal static IReadOnlyList<ICheck> ChecksOfNode { get; } =
    [
        new ReversePathCheck(),
        new BridgeCheck(),
        new ForwardPolicyCheck(),
        new MasqueradeCheck(),
        new MarkBitsCheck(),
        new KubeProxyCheck(),
        new KernelConntrackCheck(),
        new NetworkPolicyCheck(),
    ];

    /// <summary>All of them: first what everything else rests on.</summary>
    internal static IReadOnlyList<ICheck> Checks { get; } =
    [
        new PrerequisitesCheck(),
        new AgentCheck(),
        new DataplaneCheck(),
        new SteeringCheck(),
        new ForwardingCheck(),
        new SourcePortCheck(),
        .. ChecksOfNode,
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

    /// <summary>Logs what is not well on the node: what an agent does once after it has installed its steering.</summary>
    internal static async Task TellAsync(string stateDirectory, ILogger log, CancellationToken cancellation)
    {
        NodeFacts node = await NodeFacts.ReadAsync(stateDirectory, cancellation);
        foreach (CheckResult check in ChecksOfNode.Select(check => Run(check, node)).Where(check => check.Verdict is CheckVerdict.Warning or CheckVerdict.Failed))
        {
            log.LogWarning("On this node something is not well {Check} {Finding} {Cost} {Advice}", check.Name, check.Finding, check.Cost, check.Advice);
        }

        foreach (Capability missing in CapabilityProbe.Read(node.Device).Where(capability => capability.State == CapabilityState.No))
        {
            log.LogInformation("This node cannot do something {Capability} {Detail} {Without}", missing.Name, missing.Detail, missing.Without);
        }
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
            bool isRight = e is UnauthorizedAccessException || e.InnerException is UnauthorizedAccessException || !Preflight.HasCapability(Preflight.NetAdmin);
            finding = Finding.Warning($"could not look: {e.Message}", "not known", isRight ? "run as root" : "");
        }

        return new CheckResult(check.Name, finding.Verdict, finding.Text, finding.Cost, finding.Advice);
    }
}
