namespace ClusterLb.Cli.Output;

/// <summary>What <c>bpf ct flush -o json</c> prints.</summary>
/// <param name="Flushed">Flows that were forgotten.</param>
internal sealed record FlushView(long Flushed);
