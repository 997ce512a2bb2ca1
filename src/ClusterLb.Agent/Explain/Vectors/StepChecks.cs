using System.Globalization;
using System.Text.Json;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>What a step expects beside its flows: counts and listeners of health checks, and gauges.</summary>
internal sealed class StepChecks(ClusterStateStore store, ReconcileStatus status)
{
    private const string NoLocalGauge = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";

    /// <summary>One report for each expectation that the step has.</summary>
    public IReadOnlyList<VectorCheckReport> Run(VectorStep step)
    {
        var reports = new List<VectorCheckReport>();
        if (step.LocalReadyEndpoints is { } counts)
        {
            reports.Add(Report("localReadyEndpoints", LocalReady(counts)));
        }

        if (step.HealthCheckNodePorts is { } ports)
        {
            reports.Add(Report("healthCheckNodePorts", Listeners(ports)));
        }

        foreach ((string name, Dictionary<string, int> values) in step.Metrics ?? new Dictionary<string, Dictionary<string, int>>())
        {
            reports.Add(name == NoLocalGauge
                ? Report($"metrics {name}", Gauge(values))
                : new VectorCheckReport($"metrics {name}", Pass: null, Failures: null));
        }

        return reports;
    }

    private static VectorCheckReport Report(string name, IEnumerable<string> failures)
    {
        string[] all = [.. failures];
        return new VectorCheckReport(name, all.Length == 0, all.Length == 0 ? null : all);
    }

    /// <summary>The family with more of them counts: listeners of the two families answer each for its own.</summary>
    private IEnumerable<string> LocalReady(IReadOnlyDictionary<string, int> expected)
    {
        foreach (string service in store.ServiceNames().Select(name => name.ToString()).Union(expected.Keys).Order(StringComparer.Ordinal))
        {
            ServiceState state = store.Get(NameOf(service));
            int got = Math.Max(
                ServiceHealth.LocalReady(state, store.NodeName, isIpv4: true), ServiceHealth.LocalReady(state, store.NodeName, isIpv4: false));
            int want = expected.GetValueOrDefault(service);
            if (got != want)
            {
                yield return $"{service} has {got} ready addresses here, expected {want}";
            }
        }
    }

    private IEnumerable<string> Listeners(JsonElement expected)
    {
        Dictionary<string, int> got = status.HealthChecks.Values.ToDictionary(health => health.Service.ToString(), health => (int)health.Port);
        bool isByService = expected.ValueKind == JsonValueKind.Object;
        string[] want = isByService
            ? [.. expected.EnumerateObject().Select(property => $"{property.Name}={property.Value.GetRawText()}")]
            : [.. expected.EnumerateArray().Select(port => port.GetRawText())];
        string[] have = [.. got.Select(pair => isByService
            ? $"{pair.Key}={pair.Value.ToString(CultureInfo.InvariantCulture)}"
            : pair.Value.ToString(CultureInfo.InvariantCulture))];
        return want.Except(have).Select(missing => $"no listener {missing}").Concat(have.Except(want).Select(more => $"listener {more} is not expected"));
    }

    private IEnumerable<string> Gauge(Dictionary<string, int> expected)
    {
        NoLocalBackends lacking = status.NoLocalBackends;
        foreach ((string policy, int want) in expected)
        {
            int got = policy == "internal" ? lacking.InternalIpv4 + lacking.InternalIpv6 : lacking.ExternalIpv4 + lacking.ExternalIpv6;
            if (got != want)
            {
                yield return $"traffic_policy={policy} is {got}, expected {want}";
            }
        }
    }

    private static ObjectName NameOf(string text)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new ObjectName("default", text) : new ObjectName(text[..slash], text[(slash + 1)..]);
    }
}
