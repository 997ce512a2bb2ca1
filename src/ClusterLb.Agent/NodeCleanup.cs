namespace ClusterLb.Agent;

/// <summary>Removes ClusterLb from the node: dataplane, steering, device, state directory. Leaves the node as it was found.</summary>
public static class NodeCleanup
{
    /// <summary>Removes everything that belongs to this state directory.</summary>
    /// <param name="stateDirectory">DIR.</param>
    /// <param name="say">One line per thing done.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <exception cref="AgentException">An agent runs, rights are missing, or something could not be removed.</exception>
    public static Task RunAsync(string stateDirectory, Action<string> say, CancellationToken cancellation = default) =>
        throw new AgentException("Cleanup is not part of this build.");
}
