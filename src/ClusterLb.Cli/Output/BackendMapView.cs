namespace ClusterLb.Cli.Output;

/// <summary>One entry of the backend map.</summary>
internal sealed record BackendMapView(uint Id, string Backend, string State);
