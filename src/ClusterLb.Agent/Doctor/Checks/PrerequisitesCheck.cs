namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>What the agent asks for before it starts: rights, programs, the TUN driver.</summary>
internal sealed class PrerequisitesCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "prerequisites";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        string[] problems = [.. Preflight.MachineProblems(node.Options)];
        return problems.Length == 0
            ? Finding.Ok("rights, programs and /dev/net/tun are there")
            : Finding.Failed(string.Join(" ", problems), "an agent does not start", "see the finding");
    }
}
