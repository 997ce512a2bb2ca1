using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Agent.Metrics;

/// <summary>kube-proxy's label for the address family.</summary>
internal static class FamilyLabel
{
    private static readonly KeyValuePair<string, object?> Ipv4 = new("ip_family", "IPv4");
    private static readonly KeyValuePair<string, object?> Ipv6 = new("ip_family", "IPv6");

    /// <summary>The label of one family.</summary>
    public static KeyValuePair<string, object?> Of(bool isIpv4) => isIpv4 ? Ipv4 : Ipv6;

    /// <summary>The labels of several.</summary>
    public static IEnumerable<KeyValuePair<string, object?>> Of(Families families) =>
        new[] { (Families.Ipv4, Ipv4), (Families.Ipv6, Ipv6) }.Where(f => families.HasFlag(f.Item1)).Select(f => f.Item2);

    /// <summary>The values of <see cref="Of(Families)"/>.</summary>
    public static IEnumerable<string> NamesOf(Families families) => Of(families).Select(label => (string)label.Value!);
}
