using System.Diagnostics.Metrics;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Metrics;

/// <summary>kube-proxy's metrics of syncs that are looked up when they are asked for, and Cilium's of the same.</summary>
internal static class SyncMetrics
{
    private static readonly bool[] FalseAndTrue = [false, true];
    private const string Prefix = "kubeproxy_sync_proxy_rules_";

    /// <summary>Adds them.</summary>
    /// <param name="meter">Whose instruments they become.</param>
    /// <param name="pending">The account of changes.</param>
    /// <param name="gaps">Service ports without a backend here, as they are now.</param>
    /// <param name="operations">What was done to each map.</param>
    public static void Observe(Meter meter, PendingChanges pending, Func<NoLocalBackends> gaps, Func<IEnumerable<MapOperations>> operations)
    {
        ObserveOurs(meter, pending, operations);
        Families(Prefix + "last_timestamp_seconds", "When the maps were last brought up to date, in seconds since 1970.", f => f.LastWritten);
        Families(Prefix + "last_queued_timestamp_seconds", "When the latest change came, in seconds since 1970.", f => f.LastQueued);
        meter.CreateObservableGauge(Prefix + "service_changes_pending", () => (long)pending.PendingServices, null, "Changes of Services that are not in the maps yet.");
        meter.CreateObservableCounter(Prefix + "service_changes_total", () => pending.Services, null, "Changes of Services.");
        meter.CreateObservableGauge(
            Prefix + "endpoint_changes_pending", () => (long)pending.PendingEndpoints, null, "Changes of EndpointSlices that are not in the maps yet.");
        meter.CreateObservableCounter(Prefix + "endpoint_changes_total", () => pending.Endpoints, null, "Changes of EndpointSlices.");
        meter.CreateObservableGauge(
            Prefix + "no_local_endpoints_total", () => Gaps(gaps()), null, "Service ports with traffic policy Local and without a backend on this node.");

        void Families(string name, string help, Func<FamilyChanges, DateTimeOffset?> time) => meter.CreateObservableGauge(
            name, () => FalseAndTrue.Select(isIpv4 => new Measurement<double>(Seconds(time(pending.Of(isIpv4))), FamilyLabel.Of(isIpv4))), "s", help);
    }

    private static void ObserveOurs(Meter meter, PendingChanges pending, Func<IEnumerable<MapOperations>> operations)
    {
        meter.CreateObservableCounter(
            "clusterlb_services_events_total",
            () => Enum.GetValues<ServiceAction>().Select(action => new Measurement<long>(pending.ServicesBy(action), Action(action))), null,
            "Changes of Services, by action.");
        meter.CreateObservableCounter(
            "clusterlb_k8s_terminating_endpoints_events_total", () => pending.TerminatingEndpoints, null,
            "Terminating endpoints in changed EndpointSlices.");
        meter.CreateObservableCounter(
            "clusterlb_bpf_map_ops_total", () => operations().SelectMany(Operations), null, "Entries written, deleted, and refused for lack of room, by map.");
    }

    private static KeyValuePair<string, object?> Action(ServiceAction action) => new("action", action switch
    {
        ServiceAction.Add => "add",
        ServiceAction.Update => "update",
        _ => "delete",
    });

    private static IEnumerable<Measurement<long>> Operations(MapOperations map) =>
    [
        Operation(map.Updates, map.Map, "update", "success"), Operation(map.Deletes, map.Map, "delete", "success"),
        Operation(map.Refusals, map.Map, "update", "fail"),
    ];

    private static Measurement<long> Operation(long count, string map, string operation, string outcome) => new(
        count, new KeyValuePair<string, object?>("map_name", map), new KeyValuePair<string, object?>("operation", operation),
        new KeyValuePair<string, object?>("outcome", outcome));

    private static Measurement<long>[] Gaps(NoLocalBackends gaps) =>
    [
        Gap(gaps.InternalIpv4, isIpv4: true, "internal"), Gap(gaps.ExternalIpv4, isIpv4: true, "external"),
        Gap(gaps.InternalIpv6, isIpv4: false, "internal"), Gap(gaps.ExternalIpv6, isIpv4: false, "external"),
    ];

    private static Measurement<long> Gap(int count, bool isIpv4, string policy) =>
        new(count, FamilyLabel.Of(isIpv4), new KeyValuePair<string, object?>("traffic_policy", policy));

    private static double Seconds(DateTimeOffset? time) => (time - DateTimeOffset.UnixEpoch)?.TotalSeconds ?? 0;
}
