namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>An agent runs, and thinks well of itself.</summary>
internal sealed class AgentCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "agent";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        if (node.IsElsewhere)
        {
            return Finding.Failed(
                $"{node.StateDirectory} belongs to another network namespace than this process", "what follows is about the wrong node",
                "run this inside that namespace (nsenter --net=…)");
        }

        if (node.Agent is not { } agent)
        {
            return node.Record is null
                ? Finding.NotApplicable($"no agent was ever started with {node.StateDirectory}")
                : Finding.Warning(node.AgentProblem, "changes of services are not followed; what is in the maps is served", "start the agent");
        }

        string[] problems = [.. new[] { agent.Sync.LastError, agent.Steering.LastError, agent.DataplaneState }.Where(text => text.Length > 0)];
        return agent.Healthy && problems.Length == 0
            ? Finding.Ok($"pid {agent.Pid} on {agent.NodeName}, healthy")
            : Finding.Failed(
                problems.Length > 0 ? string.Join(" ", problems) : "the agent says that it is not healthy",
                "some services are not served, or not as they should be", "`clusterlb status` and the agent's log say more");
    }
}
