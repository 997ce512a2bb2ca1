using System.Globalization;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>The kernel's flow table has room, and remembers connections for as long as ours does.</summary>
internal sealed class KernelConntrackCheck : ICheck
{
    private const double High = 0.9;

    /// <inheritdoc/>
    public string Name => "kernel conntrack";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        if (KernelConntrackTable.Read() is not { } table)
        {
            return Finding.NotApplicable("the kernel has no flow table yet: nft loads it with our table");
        }

        string text = $"{table.Count} of {table.Capacity} entries; {table.Dropped} packets dropped, {table.EarlyDropped} entries dropped to make room";
        if (table.Fill >= High)
        {
            return Finding.Failed(text, "packets of new connections are dropped when it is full, ours and all others",
                "raise conntrack.maxPerCore or min, or find who opens so many connections (conntrack -S, conntrack -L)");
        }

        if (Setting("nf_conntrack_tcp_loose") == 0)
        {
            return Finding.Warning($"{text}; nf_conntrack_tcp_loose is 0", "after a flush of the kernel's table no connection in progress finds back", "set it to 1");
        }

        string[] shorter = [.. Shorter(node)];
        return shorter.Length == 0
            ? Finding.Ok(text)
            : Finding.Warning($"{text}; {string.Join("; ", shorter)}",
                "when the kernel has forgotten a silent connection, what its server says next does not come back to us and the connection is reset",
                "set conntrack.tcpEstablishedTimeout of KubeProxyConfiguration: it is written to both tables");
    }

    // UDP is left out: the kernel's 30 and 120 seconds are what people know from kube-proxy, and the client's next datagram begins anew.
    private static IEnumerable<string> Shorter(NodeFacts node)
    {
        const string Established = "nf_conntrack_tcp_timeout_established";
        if (node.InMaps is { } ours && Setting(Established) is { } kernel && kernel < ours.TcpEstablishedTimeoutSeconds)
        {
            yield return $"{Established} is {kernel} s, ours {ours.TcpEstablishedTimeoutSeconds} s";
        }
    }

    private static long? Setting(string name) =>
        long.TryParse(Sysctls.Read($"net/netfilter/{name}"), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
}
