using System.Globalization;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>The kernel's flow table has room, and remembers connections for as long as ours does.</summary>
/// <remarks>UDP is left out: the kernel's 30 and 120 seconds are what people know from kube-proxy, and the client's next datagram begins anew.</remarks>
internal sealed class KernelConntrackCheck : ICheck
{
    private const string TcpLoose = "nf_conntrack_tcp_loose";
    private const string Established = "nf_conntrack_tcp_timeout_established";

    /// <inheritdoc/>
    public string Name => "kernel conntrack";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node) => KernelConntrackTable.Read() is { } table
        ? Judge(table, Setting(TcpLoose), Setting(Established), node.InMaps)
        : Finding.NotApplicable("the kernel has no flow table yet: nft loads it with our table");

    /// <summary>What there is to say about the table.</summary>
    /// <param name="table">As it is now.</param>
    /// <param name="tcpLoose">nf_conntrack_tcp_loose; null where the kernel has no such setting.</param>
    /// <param name="established">nf_conntrack_tcp_timeout_established in seconds; null likewise.</param>
    /// <param name="ours">What the dataplane goes by; null if nothing is installed.</param>
    internal static Finding Judge(KernelConntrackTable table, long? tcpLoose, long? established, NodeEntry? ours)
    {
        string text = $"{table.Count} of {table.Capacity} entries; {table.Dropped} packets dropped, {table.EarlyDropped} entries dropped to make room";
        if (table.Fill >= KernelConntrackTable.High)
        {
            return Finding.Failed(text, "packets of new connections are dropped when it is full, ours and all others", KernelConntrackTable.Advice);
        }

        if (tcpLoose == 0)
        {
            return Finding.Warning($"{text}; {TcpLoose} is 0", "after a flush of the kernel's table no connection in progress finds back", "set it to 1");
        }

        return ours is { } entry && established < entry.TcpEstablishedTimeoutSeconds
            ? Finding.Warning($"{text}; {Established} is {established} s, ours {entry.TcpEstablishedTimeoutSeconds} s",
                "when the kernel has forgotten a silent connection, what its server says next does not come back to us and the connection is reset",
                "set conntrack.tcpEstablishedTimeout of KubeProxyConfiguration: it is written to both tables")
            : Finding.Ok(text);
    }

    private static long? Setting(string name) =>
        long.TryParse(Sysctls.Read($"net/netfilter/{name}"), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
}
