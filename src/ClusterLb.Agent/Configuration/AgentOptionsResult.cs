namespace ClusterLb.Agent.Configuration;

/// <summary>A configuration that was read.</summary>
/// <param name="Options">Usable only without problems.</param>
/// <param name="Problems">Each one line; all of them at once.</param>
/// <param name="Warnings">Each one line: unknown fields, settings that have no effect here.</param>
public sealed record AgentOptionsResult(AgentOptions Options, IReadOnlyList<string> Problems, IReadOnlyList<string> Warnings);
