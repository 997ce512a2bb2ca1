namespace ClusterLb.Agent;

/// <summary>The node daemon: builds all its parts in one place, starts them in order, stops them in reverse.</summary>
public sealed class NodeAgent
{
    /// <summary>Runs the agent until <paramref name="stop"/>, SIGTERM or SIGINT.</summary>
    /// <param name="options">Free of <see cref="AgentOptions.Problems"/>.</param>
    /// <param name="warnings">Of the configuration; they go to the log.</param>
    /// <param name="stop">Asks it to end.</param>
    /// <exception cref="AgentException">It cannot start; nothing was left behind.</exception>
    public static Task RunAsync(AgentOptions options, IReadOnlyList<string> warnings, CancellationToken stop) =>
        throw new AgentException("The agent is not part of this build.");
}
