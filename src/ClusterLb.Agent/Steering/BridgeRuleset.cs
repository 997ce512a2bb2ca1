using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Steering;

/// <summary>The nft table of family bridge: it takes packets that would be switched from pod to pod up to the node.</summary>
/// <remarks>docs/steering.md, "Pods on a bridge", says why each line is there.</remarks>
internal static class BridgeRuleset
{
    /// <summary>Name of the table, family bridge.</summary>
    public const string Table = "clb";

    private const string Unicast = "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00";

    /// <summary>What tells whether the kernel can do it at all: a check of this needs no bridge.</summary>
    public static string Probe => Render(
        [
            new PodBridge("probe", "02:00:00:00:00:01", IpPrefix.Parse("10.0.0.0/24"), BridgeFix.ConnectionMark),
            new PodBridge("probe", "02:00:00:00:00:01", IpPrefix.Parse("10.0.0.0/24"), BridgeFix.Routed),
        ],
        new SteeringOptions(), "clb_probe");

    /// <summary>The file for <c>nft -f</c>: one transaction that replaces the table. Empty if there is nothing to take up.</summary>
    public static string Render(IReadOnlyCollection<PodBridge> bridges, SteeringOptions options, string table = Table)
    {
        string[] rules = [.. bridges.SelectMany(bridge => Rules(bridge, options))];
        if (rules.Length == 0)
        {
            return "";
        }

        string[] quiet = [.. bridges.Where(bridge => bridge.Fix == BridgeFix.Routed).Select(bridge => NoRedirects(bridge.Subnet))];

        // Creating a table that exists is no error, deleting one that does not exist is: hence both. Priority 10: the mark is set by
        // then, for br_netfilter runs the inet family's prerouting at 0.
        return $$"""
            table bridge {{table}}
            delete table bridge {{table}}
            table bridge {{table}} {
              chain pre {
                type filter hook prerouting priority 10; policy accept;
                {{string.Join("\n    ", rules)}}
              }

              chain out {
                type filter hook output priority 0; policy accept;
                {{string.Join("\n    ", quiet)}}
              }
            }

            """;
    }

    private static IEnumerable<string> Rules(PodBridge bridge, SteeringOptions options)
    {
        bool isIpv4 = bridge.Subnet.Address.IsIpv4;
        string ip = isIpv4 ? "ip" : "ip6";
        string takeUp = $"ether daddr set {bridge.HardwareAddress} meta pkttype set host";
        switch (bridge.Fix)
        {
            case BridgeFix.ConnectionMark:
                yield return $"{ip} saddr {bridge.Subnet} meta mark & 0x{options.ReplyMark:x} == 0x{options.ReplyMark:x} {takeUp}";
                break;

            case BridgeFix.Routed:
                // Not what is about the link itself: neighbour discovery (133 to 137) must not lose a hop.
                string between = $"{ip} saddr {bridge.Subnet} {ip} daddr {bridge.Subnet} {Unicast}";
                yield return isIpv4
                    ? $"{between} meta l4proto {{ tcp, udp, sctp, icmp }} {takeUp}"
                    : $"{between} meta l4proto {{ tcp, udp, sctp }} {takeUp}";
                if (!isIpv4)
                {
                    yield return $"{between} icmpv6 type {{ 1-4, 128, 129 }} {takeUp}";
                }

                break;
        }
    }

    /// <summary>The kernel would tell pods that they could talk directly: they do, and we do not want it.</summary>
    private static string NoRedirects(IpPrefix subnet) => subnet.Address.IsIpv4
        ? $"ip daddr {subnet} icmp type redirect drop"
        : $"ip6 daddr {subnet} icmpv6 type nd-redirect drop";
}
