using System.Globalization;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Steering;

/// <summary>The nft table: it marks connections, so that their replies (and node port traffic) are routed to the device.</summary>
/// <remarks>docs/steering.md says why each line is there. nft 1.0.6 is the oldest that was tried.</remarks>
internal static class NftRuleset
{
    /// <summary>Name of the table, family inet.</summary>
    public const string Table = "clb";

    /// <summary>The file for <c>nft -f</c>: one transaction that replaces the table, whatever is there.</summary>
    public static string Render(SteeringInputs inputs)
    {
        // Creating a table that exists is no error, deleting one that does not exist is: hence both.
        return $"table inet {Table}\ndelete table inet {Table}\n{Body(inputs)}";
    }

    private static string Body(SteeringInputs inputs)
    {
        SteeringOptions o = inputs.Options;
        string device = $"\"{inputs.Device}\"";
        string reply = $"0x{o.ReplyMark:x}";
        string original = $"0x{o.OriginalMark:x}";
        string elements = inputs.NodePorts.Count == 0 ? "" :
            $"\n    elements = {{ {string.Join(", ", inputs.NodePorts.Order().Select(Element))} }}";

        // A kernel without IPv6 refuses expressions that look at its packets.
        string ipv6 = inputs.KernelHasIpv6 ? "" : "# ";
        return $$"""
            table inet {{Table}} {
              set nodeports {
                type inet_proto . inet_service{{elements}}
              }

              chain steer {
                {{ipv6}}ct state new fib daddr type local ip6 daddr != ::1 meta l4proto . th dport @nodeports ct mark set ct mark | {{original}}
                ct state new ip version 4 fib daddr type local meta l4proto . th dport @nodeports ct mark set ct mark | {{original}}
                ct direction original ct mark & {{original}} == {{original}} meta mark set meta mark | {{reply}}
                ct direction reply ct mark & {{reply}} == {{reply}} meta mark set meta mark | {{reply}}
              }

              chain pre {
                type filter hook prerouting priority dstnat + 5; policy accept;
                iifname {{device}} ct state new ct mark set ct mark | {{reply}}
                iifname {{device}} accept
                jump steer
              }

              chain out {
                type route hook output priority -95; policy accept;
                jump steer
              }

              chain post {
                type nat hook postrouting priority srcnat - 10; policy accept;
                oifname {{device}} meta nfproto ipv4 meta l4proto { tcp, udp, sctp, icmp } snat ip to ip saddr
                {{ipv6}}oifname {{device}} meta nfproto ipv6 meta l4proto { tcp, udp, sctp, ipv6-icmp } snat ip6 to ip6 saddr
                ct mark & {{reply}} == {{reply}} meta nfproto ipv4 meta l4proto { tcp, udp, sctp } snat ip to ip saddr
                {{ipv6}}ct mark & {{reply}} == {{reply}} meta nfproto ipv6 meta l4proto { tcp, udp, sctp } snat ip6 to ip6 saddr
              }
            }

            """;
    }

    private static string Element((IpProtocol Protocol, ushort Port) nodePort)
    {
        string protocol = nodePort.Protocol switch
        {
            IpProtocol.Tcp => "tcp",
            IpProtocol.Udp => "udp",
            IpProtocol.Sctp => "sctp",
            var other => ((byte)other).ToString(CultureInfo.InvariantCulture),
        };
        return $"{protocol} . {nodePort.Port}";
    }
}
