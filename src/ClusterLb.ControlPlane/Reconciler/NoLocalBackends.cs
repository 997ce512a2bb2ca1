namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Service ports that drop traffic because their policy is Local and no usable backend is on this node, though there are some
/// elsewhere (R16): kube-proxy's sync_proxy_rules_no_local_endpoints_total, by family and by policy.</summary>
/// <param name="InternalIpv4">spec.internalTrafficPolicy, IPv4.</param>
/// <param name="InternalIpv6">spec.internalTrafficPolicy, IPv6.</param>
/// <param name="ExternalIpv4">spec.externalTrafficPolicy, IPv4; only ports that have an external frontend.</param>
/// <param name="ExternalIpv6">spec.externalTrafficPolicy, IPv6.</param>
public readonly record struct NoLocalBackends(int InternalIpv4, int InternalIpv6, int ExternalIpv4, int ExternalIpv6)
{
    /// <summary>Field by field.</summary>
    public static NoLocalBackends operator +(NoLocalBackends left, NoLocalBackends right) => new(
        left.InternalIpv4 + right.InternalIpv4, left.InternalIpv6 + right.InternalIpv6,
        left.ExternalIpv4 + right.ExternalIpv4, left.ExternalIpv6 + right.ExternalIpv6);

    /// <summary>Field by field.</summary>
    public static NoLocalBackends operator -(NoLocalBackends left, NoLocalBackends right) => new(
        left.InternalIpv4 - right.InternalIpv4, left.InternalIpv6 - right.InternalIpv6,
        left.ExternalIpv4 - right.ExternalIpv4, left.ExternalIpv6 - right.ExternalIpv6);
}
