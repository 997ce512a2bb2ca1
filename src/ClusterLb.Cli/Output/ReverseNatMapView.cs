namespace ClusterLb.Cli.Output;

/// <summary>One entry of the reverse NAT map.</summary>
internal sealed record ReverseNatMapView(uint Id, string Frontend);
