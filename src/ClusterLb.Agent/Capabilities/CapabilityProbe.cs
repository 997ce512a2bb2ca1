using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent.Capabilities;

/// <summary>What this kernel and machine can do of what ClusterLb uses. Reads and asks only: nothing is created or changed.</summary>
/// <remarks>Of the network namespace of the calling thread.</remarks>
public static class CapabilityProbe
{
    /// <summary>All rows, in a fixed order.</summary>
    /// <param name="device">Name of the TUN device; offloads are known only once it is there.</param>
    public static IReadOnlyList<Capability> Read(string device) =>
    [
        Kernel(),
        .. Tun(),
        .. Offloads(device),
        .. NftProbe.Read(),
        Conntrack(),
        BridgeNetfilter(),
        EarlyDemux(),
        Ipv6(),
        Cgroup2(),
    ];

    private static Capability Kernel() => new(
        "kernel", CapabilityState.Yes, File.ReadAllText("/proc/sys/kernel/osrelease").TrimEnd('\n'), "");

    private static Capability[] Tun()
    {
        const string Device = "/dev/net/tun";
        TunSupport? support = TunDeviceFactory.ReadSupport();
        string detail = support is not null ? Device : File.Exists(Device) ? $"{Device} cannot be opened" : $"there is no {Device}";
        return
        [
            new("TUN multi-queue", Of(support?.MultiQueue), detail, "the agent does not start: queues are served by a thread each"),
            new("TUN vnet header", Of(support?.VnetHeader), detail, "the agent does not start: packets come without offload metadata"),
        ];

        // Without a driver there is nothing to be unsure about.
        CapabilityState Of(bool? has) => has is null && File.Exists(Device) ? CapabilityState.Unknown : State(has == true);
    }

    private static IEnumerable<Capability> Offloads(string device)
    {
        IReadOnlySet<string>? active = InterfaceFeatures.ReadActive(device);
        (string Name, string[] Features, string Without)[] offloads =
        [
            ("TUN checksum offload", ["tx-checksum-ip-generic"], "the kernel sums every packet before it is read"),
            ("TUN TCP segmentation", ["tx-tcp-segmentation", "tx-tcp6-segmentation"], "TCP comes in packets of MTU size: throughput falls to a fraction"),
            ("TUN UDP segmentation", ["tx-udp-segmentation"], "UDP trains are cut up before they are read (it came with Linux 6.2)"),
        ];
        foreach ((string name, string[] features, string without) in offloads)
        {
            yield return active is null
                ? new Capability(name, CapabilityState.Unknown, $"there is no device {device} to ask", without)
                : new Capability(name, State(features.All(active.Contains)), $"{string.Join(", ", features)} of {device}", without);
        }
    }

    private static Capability Conntrack() => new(
        "kernel conntrack", State(Sysctls.Read(KernelConntrackOptions.TableSize) is not null),
        Sysctls.Read(KernelConntrackOptions.TableSize) is { } size ? $"room for {size} flows" : "nf_conntrack is not loaded; nft loads it with our table",
        "replies of local backends do not find the way back");

    private static Capability BridgeNetfilter() => new(
        "bridge netfilter", State(Sysctls.Read("net/bridge/bridge-nf-call-iptables") == "1"),
        Sysctls.Read("net/bridge/bridge-nf-call-iptables") is { } ipv4
            ? $"bridge-nf-call-iptables={ipv4}, bridge-nf-call-ip6tables={Sysctls.Read("net/bridge/bridge-nf-call-ip6tables")}"
            : "br_netfilter is not loaded",
        "only where pods are ports of a Linux bridge: replies between two of them are switched past the node's rules");

    // Either way is right: packets of a local socket's connection are never steered, or the kernel would drop them (ip_forward).
    private static Capability EarlyDemux() => new(
        "early demux", State(Sysctls.Read("net/ipv4/ip_early_demux") == "1"),
        string.Join(", ", ((string[])["ip_early_demux", "tcp_early_demux", "udp_early_demux"]).Select(name => $"{name}={Sysctls.Read($"net/ipv4/{name}")}")),
        "nothing: it only saves the node's own sockets a lookup");

    private static Capability Ipv6()
    {
        string? disabled = Sysctls.Read("net/ipv6/conf/all/disable_ipv6");
        return new Capability(
            "IPv6", State(disabled == "0"), disabled switch { null => "the kernel has none", "0" => "enabled", _ => "disable_ipv6 is set" },
            "services are served in IPv4 only");
    }

    private static Capability Cgroup2()
    {
        string? mount = File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')).Where(words => words is [_, _, "cgroup2", ..])
            .Select(words => words[1]).FirstOrDefault();
        return new Capability(
            "cgroup2", State(mount is not null), mount ?? "not mounted", "nothing today: balancing at connect time would need it");
    }

    private static CapabilityState State(bool has) => has ? CapabilityState.Yes : CapabilityState.No;
}
