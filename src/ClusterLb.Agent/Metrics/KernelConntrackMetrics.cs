using System.Diagnostics.Metrics;
using ClusterLb.Agent.KernelConntrack;

namespace ClusterLb.Agent.Metrics;

/// <summary>What the kernel's own flow table had to give up; its fill is among that of the maps (map_name nf_conntrack).</summary>
internal static class KernelConntrackMetrics
{
    /// <summary>Adds them.</summary>
    /// <param name="meter">Whose instruments they become.</param>
    /// <param name="read">Reads the table; null where there is none.</param>
    public static void Observe(Meter meter, Func<KernelConntrackTable?> read)
    {
        meter.CreateObservableCounter(
            "clusterlb_kernel_conntrack_dropped_packets_total", () => read()?.Dropped ?? 0, null,
            "Packets that the kernel's flow tracking dropped in this network namespace, mostly for want of room.");
        meter.CreateObservableCounter(
            "clusterlb_kernel_conntrack_early_drops_total", () => read()?.EarlyDropped ?? 0, null,
            "Entries of the kernel's flow table that were dropped to make room.");
    }
}
