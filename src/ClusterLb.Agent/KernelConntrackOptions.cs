using System.Globalization;

namespace ClusterLb.Agent;

/// <summary>Settings of the kernel's conntrack that kube-proxy owns on a node, and so whoever replaces it (conntrack.* of its configuration).</summary>
/// <remarks>Zero leaves a setting as it is. Steering writes them, repairs them, and restores what was there when it is removed.</remarks>
public sealed record KernelConntrackOptions
{
    private const string Folder = "net/netfilter/nf_conntrack";

    /// <summary>The size of the table, which belongs to all network namespaces of the machine.</summary>
    public const string TableSize = $"{Folder}_max";

    /// <summary>Its hash buckets: kube-proxy makes them a quarter of the flows at least, or lookups walk long chains.</summary>
    public const string Buckets = $"{Folder}_buckets";

    /// <summary>Flows per bucket at most.</summary>
    public const int FlowsPerBucket = 4;

    /// <summary>Flows per processor that the kernel's table shall hold; 0: the table is left as it is.</summary>
    public int MaxPerCore { get; init; } = 32_768;

    /// <summary>Flows that it shall hold at least.</summary>
    public int Min { get; init; } = 131_072;

    /// <summary>How long the kernel remembers a silent TCP connection.</summary>
    public TimeSpan TcpEstablishedTimeout { get; init; } = TimeSpan.FromHours(24);

    /// <summary>The same for a connection that was closed in one direction.</summary>
    public TimeSpan TcpCloseWaitTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Packets outside the window are not INVALID to the kernel.</summary>
    public bool TcpBeLiberal { get; init; }

    /// <summary>UDP with packets in one direction only.</summary>
    public TimeSpan UdpTimeout { get; init; }

    /// <summary>UDP with packets in both directions.</summary>
    public TimeSpan UdpStreamTimeout { get; init; }

    /// <summary>Flows that the kernel's table shall hold at least; 0: as it is.</summary>
    public int WantedTableSize(int processors) =>
        MaxPerCore == 0 ? 0 : Math.Max((int)Math.Min((long)MaxPerCore * processors, int.MaxValue), Min);

    /// <summary>What else shall be written: name under /proc/sys, and value.</summary>
    public IEnumerable<(string Name, string Value)> Settings()
    {
        if (TcpBeLiberal)
        {
            yield return ($"{Folder}_tcp_be_liberal", "1");
        }

        (string Name, TimeSpan Value)[] timeouts =
        [
            ("tcp_timeout_established", TcpEstablishedTimeout), ("tcp_timeout_close_wait", TcpCloseWaitTimeout),
            ("udp_timeout", UdpTimeout), ("udp_timeout_stream", UdpStreamTimeout),
        ];
        foreach ((string name, TimeSpan value) in timeouts)
        {
            if (value > TimeSpan.Zero)
            {
                yield return ($"{Folder}_{name}", ((long)value.TotalSeconds).ToString(CultureInfo.InvariantCulture));
            }
        }
    }
}
