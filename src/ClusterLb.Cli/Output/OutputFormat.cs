namespace ClusterLb.Cli.Output;

/// <summary>For whom a command prints: <c>-o table</c> or <c>-o json</c>.</summary>
internal enum OutputFormat
{
    /// <summary>People: aligned columns that fit the terminal.</summary>
    Table,

    /// <summary>Programs: one JSON document, or one per line where the output has no end.</summary>
    Json,
}
