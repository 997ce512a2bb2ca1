using System.Collections.Immutable;
using ClusterLb.Agent.Network;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Steering;

/// <summary>One family of a Linux bridge whose ports are pods.</summary>
/// <param name="Name">Of the bridge.</param>
/// <param name="HardwareAddress">Of the bridge: who sends there wants to be routed.</param>
/// <param name="Subnet">Addresses of its pods.</param>
/// <param name="Fix">What is done about answers that would be switched.</param>
internal sealed record PodBridge(string Name, string HardwareAddress, IpPrefix Subnet, BridgeFix Fix)
{
    private const string CallIptables = "net/bridge/bridge-nf-call-iptables";
    private const string CallIp6tables = "net/bridge/bridge-nf-call-ip6tables";

    /// <summary>The bridges of pods that there are, with the fix for each: by connection mark where br_netfilter is on, else routed, else
    /// masqueraded.</summary>
    /// <param name="network">Interfaces and addresses.</param>
    /// <param name="podRanges">Where pods are; if nobody says so, every bridge with ports and addresses counts.</param>
    /// <param name="chosen">The fix for all of them; null: the first of these that the node allows.</param>
    /// <param name="canTakeUp">The kernel has nft's bridge family. Asked only if there is such a bridge.</param>
    public static ImmutableArray<PodBridge> Find(
        NodeNetwork network, IReadOnlyCollection<IpPrefix> podRanges, BridgeFix? chosen, Func<bool> canTakeUp)
    {
        (bool callsIptables, bool callsIp6tables) = Netfilter();
        return Find(network, podRanges, callsIptables, callsIp6tables, chosen, canTakeUp);
    }

    /// <summary>Whether br_netfilter shows switched packets of IPv4 and IPv6 to the node's rules. A change sends no event.</summary>
    public static (bool Ipv4, bool Ipv6) Netfilter() => (Sysctls.Read(CallIptables) == "1", Sysctls.Read(CallIp6tables) == "1");

    /// <inheritdoc cref="Find(NodeNetwork, IReadOnlyCollection{IpPrefix}, BridgeFix?, Func{bool})"/>
    internal static ImmutableArray<PodBridge> Find(
        NodeNetwork network, IReadOnlyCollection<IpPrefix> podRanges, bool callsIptables, bool callsIp6tables, BridgeFix? chosen, Func<bool> canTakeUp)
    {
        (NetworkInterface Bridge, IpPrefix Subnet)[] found =
        [
            .. from bridge in network.Interfaces
               where bridge is { Kind: "bridge", IsUp: true, HardwareAddress.Length: > 0 }
               from address in network.Addresses
               where address.InterfaceIndex == bridge.Index && !address.IsLinkLocal && address.PrefixLength < address.Address.BitLength
               let subnet = new IpPrefix(address.Address, address.PrefixLength)
               where IsPods(bridge, subnet)
               select (bridge, subnet),
        ];
        if (found.Length == 0)
        {
            return [];
        }

        bool canFix = chosen is not null || canTakeUp();
        return
        [
            .. found.Distinct().OrderBy(f => f.Bridge.Name, StringComparer.Ordinal).ThenBy(f => f.Subnet.Address).ThenBy(f => f.Subnet.Length)
                .Select(f => new PodBridge(f.Bridge.Name, f.Bridge.HardwareAddress, f.Subnet, FixFor(f.Bridge, f.Subnet))),
        ];

        bool IsPods(NetworkInterface bridge, IpPrefix subnet)
        {
            return AreKnown(subnet)
                ? podRanges.Any(range => range.Contains(subnet.Address) || subnet.Contains(range.Address))
                : network.Interfaces.Any(port => port.MasterIndex == bridge.Index);
        }

        bool AreKnown(IpPrefix subnet) => podRanges.Any(range => range.Address.IsIpv4 == subnet.Address.IsIpv4);

        // Whoever may not be a pod is not routed instead of switched: masquerading touches nothing but services.
        BridgeFix FixFor(NetworkInterface bridge, IpPrefix subnet) =>
            chosen is { } fix ? fix
            : !canFix ? BridgeFix.Masquerade
            : (subnet.Address.IsIpv4 ? callsIptables || bridge.CallsIptables : callsIp6tables || bridge.CallsIp6tables) ? BridgeFix.ConnectionMark
            : AreKnown(subnet) ? BridgeFix.Routed : BridgeFix.Masquerade;
    }
}
