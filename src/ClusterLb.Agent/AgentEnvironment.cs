namespace ClusterLb.Agent;

/// <summary>What an agent is best started with. It runs without, only slower.</summary>
/// <remarks>The runtime maps memory for code twice, writable here and executable there, and changes the mappings for every method that it
/// compiles: of an agent's start that is a quarter of the processor time. Go programs in its place compile nothing and need no such guard;
/// the dataplane, which reads the packets of strangers, and has time to start because its successor is ready, keeps it.</remarks>
public static class AgentEnvironment
{
    /// <summary>As <c>env</c> takes them.</summary>
    public static IReadOnlyList<string> Variables { get; } = ["DOTNET_EnableWriteXorExecute=0"];

    /// <summary>A command that starts a program with them.</summary>
    public static IReadOnlyList<string> Start(IReadOnlyList<string> program) => ["env", .. Variables, .. program];
}
