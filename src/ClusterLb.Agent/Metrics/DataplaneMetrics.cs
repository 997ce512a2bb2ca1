using System.Diagnostics.Metrics;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Metrics;

/// <summary>What the dataplane counts, and how full maps and flow tables are: Cilium's names with our prefix, so that dashboards translate.</summary>
internal static class DataplaneMetrics
{
    private static readonly KeyValuePair<string, object?> Original = new("direction", "original");
    private static readonly KeyValuePair<string, object?> Reply = new("direction", "reply");

    /// <summary>Adds them.</summary>
    /// <param name="meter">Whose instruments they become.</param>
    /// <param name="counters">Reads the counters of all workers.</param>
    /// <param name="fill">Reads how full the maps are.</param>
    /// <param name="health">Of the dataplane process.</param>
    public static void Observe(Meter meter, Func<PipelineCounters> counters, Func<IEnumerable<MapFill>> fill, Func<DataplaneHealth> health)
    {
        meter.CreateObservableCounter("clusterlb_drop_count_total", () => Drops(counters()), null, "Packets dropped or rejected, by reason and direction.");
        meter.CreateObservableCounter(
            "clusterlb_drop_bytes_total", () => Bytes(counters(), Verdict.Drop, Verdict.Reject), null, "Bytes of packets dropped or rejected, IP headers included.");
        meter.CreateObservableCounter("clusterlb_forward_count_total", () => Forwarded(counters()), null, "Packets translated and forwarded.");
        meter.CreateObservableCounter(
            "clusterlb_forward_bytes_total", () => Bytes(counters(), Verdict.Forward), null, "Bytes of packets translated and forwarded, IP headers included.");
        meter.CreateObservableCounter("clusterlb_new_flows_total", () => (long)counters().NewFlows, null, "Flows begun.");
        meter.CreateObservableCounter(
            "clusterlb_flows_evicted_total", () => (long)counters().EvictedFlows, null,
            "Flows that were never established and were forgotten early, because a table was full or source ports were rare.");
        meter.CreateObservableCounter(
            "clusterlb_affinity_evicted_total", () => (long)counters().EvictedPins, null,
            "Clients whose session affinity was forgotten early, because the table was full.");
        meter.CreateObservableCounter(
            "clusterlb_affinity_unpinned_total", () => (long)counters().Unpinned, null,
            "Connections served whose client could not be pinned, because other workers were busy with its part of the table.");
        meter.CreateObservableCounter("clusterlb_fragments_total", () => (long)counters().Fragments, null, "Fragments translated.");
        meter.CreateObservableCounter(
            "clusterlb_fragments_evicted_total", () => (long)counters().EvictedFragments, null,
            "Fragmented datagrams forgotten while parts of them could still have come, because the table was full.");
        meter.CreateObservableCounter("clusterlb_icmp_errors_total", () => (long)counters().TranslatedErrors, null, "ICMP errors translated.");
        meter.CreateObservableCounter("clusterlb_echo_replies_total", () => (long)counters().AnsweredPings, null, "Pings of service addresses answered.");
        meter.CreateObservableCounter(
            "kubeproxy_conntrack_reconciler_deleted_entries_total", () => Repicked(counters()), null,
            "UDP flows that were begun anew because their backend no longer served.");
        meter.CreateObservableCounter(
            "clusterlb_reset_flows_total", () => (long)counters().ResetFlows, null, "TCP connections that were reset because their backend was gone.");
        meter.CreateObservableGauge(
            "clusterlb_bpf_map_pressure", () => fill().Select(map => Labelled((double)map.Count / map.Capacity, map.Name)), null, "Fill of each map and flow table, from 0 to 1.");
        meter.CreateObservableGauge(
            "clusterlb_bpf_map_capacity", () => fill().Select(map => Labelled((long)map.Capacity, map.Name)), null, "Entries that fit into each map and flow table.");
        meter.CreateObservableCounter(
            "clusterlb_dataplane_restarts_total", () => (long)health().Restarts, null, "Dataplanes started because one had died.");
        meter.CreateObservableGauge(
            "clusterlb_dataplane_serving", () => health().Serving ? 1L : 0L, null, "1 while the dataplane's workers show signs of life.");
    }

    private static IEnumerable<Measurement<long>> Drops(PipelineCounters counters)
    {
        foreach (DropReason reason in Enum.GetValues<DropReason>().Where(reason => reason != DropReason.None))
        {
            var label = new KeyValuePair<string, object?>("reason", reason.ToString());
            ulong reply = counters.ReplyDrops(reason);
            yield return new((long)(counters.Drops(reason) - reply), Original, label);
            yield return new((long)reply, Reply, label);
        }
    }

    private static Measurement<long>[] Repicked(PipelineCounters counters) =>
    [
        new((long)(counters.RepickedFlows - counters.RepickedIpv6Flows), FamilyLabel.Of(isIpv4: true)),
        new((long)counters.RepickedIpv6Flows, FamilyLabel.Of(isIpv4: false)),
    ];

    private static Measurement<long>[] Forwarded(PipelineCounters counters)
    {
        ulong reply = counters.ReplyPackets(Verdict.Forward);
        return [new((long)(counters.Packets(Verdict.Forward) - reply), Original), new((long)reply, Reply)];
    }

    private static Measurement<long>[] Bytes(PipelineCounters counters, params Verdict[] verdicts)
    {
        long all = verdicts.Sum(verdict => (long)counters.Bytes(verdict));
        long reply = verdicts.Sum(verdict => (long)counters.ReplyBytes(verdict));
        return [new(all - reply, Original), new(reply, Reply)];
    }

    // A map with a file per family has the name that clusterlb_bpf_map_ops_total knows, which counts both families.
    private static Measurement<T> Labelled<T>(T value, string map)
        where T : struct => map[^1] is '4' or '6'
            ? new(value, Map(map[..^1]), FamilyLabel.Of(map[^1] == '4'))
            : new(value, Map(map));

    private static KeyValuePair<string, object?> Map(string name) => new("map_name", name);
}
