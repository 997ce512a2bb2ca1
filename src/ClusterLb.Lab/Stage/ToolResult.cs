namespace ClusterLb.Lab.Stage;

/// <summary>How a program ended and what it said.</summary>
/// <param name="ExitCode">Its exit status.</param>
/// <param name="Output">All of its standard output.</param>
/// <param name="Errors">All of its standard error.</param>
public sealed record ToolResult(int ExitCode, string Output, string Errors);
