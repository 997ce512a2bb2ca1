using System.Diagnostics.Metrics;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Metrics;

/// <summary>kube-proxy's metrics of syncs that are looked up when they are asked for.</summary>
internal static class SyncMetrics
{
    private static readonly bool[] FalseAndTrue = [false, true];
    private const string Prefix = "kubeproxy_sync_proxy_rules_";

    /// <summary>Adds them.</summary>
    /// <param name="meter">Whose instruments they become.</param>
    /// <param name="pending">The account of changes.</param>
    /// <param name="gaps">Service ports without a backend here, as they are now.</param>
    public static void Observe(Meter meter, PendingChanges pending, Func<NoLocalBackends> gaps)
    {
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

    private static Measurement<long>[] Gaps(NoLocalBackends gaps) =>
    [
        Gap(gaps.InternalIpv4, isIpv4: true, "internal"), Gap(gaps.ExternalIpv4, isIpv4: true, "external"),
        Gap(gaps.InternalIpv6, isIpv4: false, "internal"), Gap(gaps.ExternalIpv6, isIpv4: false, "external"),
    ];

    private static Measurement<long> Gap(int count, bool isIpv4, string policy) =>
        new(count, FamilyLabel.Of(isIpv4), new KeyValuePair<string, object?>("traffic_policy", policy));

    private static double Seconds(DateTimeOffset? time) => (time - DateTimeOffset.UnixEpoch)?.TotalSeconds ?? 0;
}
