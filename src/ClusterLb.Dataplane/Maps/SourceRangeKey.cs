namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of the source range map: a block of addresses that may use a service port's filtered frontends.</summary>
/// <param name="ServicePortId">The service port's id.</param>
/// <param name="Sources">Who may.</param>
public readonly record struct SourceRangeKey(uint ServicePortId, IpPrefix Sources);
