using System.Globalization;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Steering;

/// <summary>The nft table: it marks connections, so that their replies (and node port traffic) are routed to the device.</summary>
/// <remarks>docs/steering.md says why each line is there. nft 1.0.6 is the oldest that was tried.</remarks>
internal static class NftRuleset
{
    /// <summary>Name of the table, family inet.</summary>
    public const string Table = "clb";

    /// <summary>Of our chain of source NAT: just before the usual one (100), so that it is asked first.</summary>
    public const int PostroutingPriority = 90;

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

        // A kernel without IPv6 refuses expressions that look at its packets.
        string ipv6 = inputs.KernelHasIpv6 ? "" : "# ";
        string loopback = inputs.LoopbackNodePorts ? "" : "# ";
        return $$"""
            table inet {{Table}} {
              set nodeports4 {
                type inet_proto . inet_service{{Elements(inputs.Ipv4?.NodePorts.Select(Element))}}
              }

              set nodeports6 {
                type inet_proto . inet_service{{Elements(inputs.Ipv6?.NodePorts.Select(Element))}}
              }

              set nodeaddresses4 {
                type ipv4_addr{{Elements(inputs.Ipv4?.NodePortAddresses?.Select(address => address.ToString()))}}
              }

              set nodeaddresses6 {
                type ipv6_addr{{Elements(inputs.Ipv6?.NodePortAddresses?.Select(address => address.ToString()))}}
              }

              set frontends4 {
                type ipv4_addr . inet_proto . inet_service{{Elements(inputs.Ipv4?.Frontends.Select(Element))}}
              }

              set frontends6 {
                type ipv6_addr . inet_proto . inet_service{{Elements(inputs.Ipv6?.Frontends.Select(Element))}}
              }

              set pinged4 {
                type ipv4_addr{{Elements(inputs.Ipv4?.Pinged.Select(address => address.ToString()))}}
              }

              set pinged6 {
                type ipv6_addr{{Elements(inputs.Ipv6?.Pinged.Select(address => address.ToString()))}}
              }

              chain steer {
                {{ipv6}}ct state new ip6 daddr != ::1 {{NodeAddress("ip6", inputs.Ipv6)}} meta l4proto . th dport @nodeports6 ct mark set ct mark | {{original}}
                ct state new ip daddr != 127.0.0.0/8 {{NodeAddress("ip", inputs.Ipv4)}} meta l4proto . th dport @nodeports4 ct mark set ct mark | {{original}}
                {{loopback}}ct state new ip daddr 127.0.0.0/8 fib daddr type local meta l4proto . th dport @nodeports4 ct mark set ct mark | {{original}}
                {{ipv6}}ct state new ip6 daddr . meta l4proto . th dport @frontends6 ct mark set ct mark | {{original}}
                ct state new ip daddr . meta l4proto . th dport @frontends4 ct mark set ct mark | {{original}}
                {{ipv6}}ct state new icmpv6 type echo-request ip6 daddr @pinged6 fib daddr type != local ct mark set ct mark | {{original}}
                ct state new icmp type echo-request ip daddr @pinged4 fib daddr type != local ct mark set ct mark | {{original}}
                ct direction original ct mark & {{original}} == {{original}} meta mark set meta mark | {{reply}}
                ct direction reply ct mark & {{reply}} == {{reply}} meta mark set meta mark | {{reply}}
              }

              chain pre {
                type filter hook prerouting priority dstnat + 5; policy accept;
                iifname {{device}} ct state new ct mark set ct mark | {{reply}}
                iifname {{device}} accept
                ct state invalid meta l4proto tcp meta mark set meta mark | {{reply}}
                jump steer
              }

              chain out {
                type route hook output priority -95; policy accept;
                jump steer
              }

              chain post {
                type nat hook postrouting priority srcnat - 10; policy accept;
                oifname {{device}} meta nfproto ipv4 meta l4proto { tcp, udp, sctp, icmp } snat ip to ip saddr
                {{ipv6}}oifname {{device}} meta nfproto ipv6 meta l4proto { tcp, udp, sctp, icmpv6 } snat ip6 to ip6 saddr
                ct mark & {{reply}} == {{reply}} meta nfproto ipv4 meta l4proto { tcp, udp, sctp } snat ip to ip saddr
                {{ipv6}}ct mark & {{reply}} == {{reply}} meta nfproto ipv6 meta l4proto { tcp, udp, sctp } snat ip6 to ip6 saddr
              }
            }

            """;
    }

    /// <summary>The node's own addresses, or those that were chosen. 127.0.0.0/8 is not among the latter: it has a setting of its own.</summary>
    private static string NodeAddress(string protocol, SteeringFamily? family) => family?.NodePortAddresses is null
        ? "fib daddr type local"
        : $"{protocol} daddr @nodeaddresses{(protocol == "ip6" ? "6" : "4")}";

    /// <summary>Sorted: the same set is the same text.</summary>
    private static string Elements(IEnumerable<string>? elements) => elements?.ToArray() is { Length: > 0 } some
        ? $"\n    elements = {{ {string.Join(", ", some.Order(StringComparer.Ordinal))} }}"
        : "";

    private static string Element(FrontendKey frontend) => $"{frontend.Address} . {Element((frontend.Protocol, frontend.Port))}";

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
