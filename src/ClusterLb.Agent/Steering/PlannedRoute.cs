namespace ClusterLb.Agent.Steering;

/// <summary>One route.</summary>
/// <param name="Table">Number of the routing table.</param>
/// <param name="Text">Canonical: <c>[unreachable] PREFIX|default [dev D] [src A] [metric N] [advmss N]</c>.</param>
internal readonly record struct PlannedRoute(int Table, string Text);
