using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.Metrics;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;
using ClusterLb.Testing.Metrics;
using ClusterLb.Tests.House;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.Agent.Metrics;

/// <summary>What is scraped, against what kube-proxy tells: tests/…/kube-proxy-1.36.txt was written down from the real one.</summary>
public sealed class KubeProxyMetricsTests : IDisposable
{
    /// <summary>What we leave out, and why.</summary>
    private static readonly string[] NotOurs =
    [
        "kubeproxy_conntrack_reconciler_sync_duration_seconds", // nothing is reconciled: the next datagram of a flow looks whether its backend serves
        "kubeproxy_iptables_ct_state_invalid_dropped_packets_total", // there are no such rules
        "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
        "kubeproxy_sync_proxy_rules_iptables_last",
        "kubeproxy_sync_proxy_rules_iptables_total",
        "rest_client_exec_plugin_certificate_rotation_age", // exec credentials are refused
        "rest_client_exec_plugin_ttl_seconds",
        "rest_client_rate_limiter_duration_seconds", // client-go's inside
        "rest_client_request_size_bytes",
        "rest_client_response_size_bytes",
        "rest_client_transport_cache_entries",
        "rest_client_transport_cert_rotation_gc_calls_total",
        "rest_client_transport_create_calls_total",
    ];

    private readonly ManualTime _time = new();
    private readonly ClusterStateStore _store;
    private readonly SharedLbMaps _maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
    private readonly ReconcileLoop _loop;
    private readonly AgentMetrics _metrics = new();
    private readonly PrometheusText _text;

    public KubeProxyMetricsTests()
    {
        _store = new ClusterStateStore("node-a", _time);
        _loop = new ReconcileLoop(_store, _maps, time: _time);
        _text = new PrometheusText(_metrics.Meter);
        SyncMetrics.Observe(_metrics.Meter, _store.Pending, () => _loop.Status.NoLocalBackends, () => _loop.Operations);
        DataplaneMetrics.Observe(
            _metrics.Meter, PipelineCounters.CreateInMemory, () => _maps.Fill, () => new DataplaneHealth(true, 1, 0, null));
        ProcessMetrics.Observe(_metrics.Meter, "0.1.0");
        new RestClientMetrics(_metrics.Meter).Record("GET", "192.0.2.1:6443", 200, TimeSpan.FromMilliseconds(3));
        _metrics.CountHealthAnswer(healthz: true, 200);
        _metrics.CountHealthAnswer(healthz: false, 503);
        _metrics.RecordSync(TimeSpan.FromMilliseconds(5), Families.Both, isFull: true);
        _metrics.RecordSync(TimeSpan.FromMilliseconds(1), Families.Ipv6, isFull: false);
        _metrics.RecordWritten(new TracedChange
        {
            Number = 1,
            Service = "test/web",
            Kind = "EndpointSlice",
            Object = "test/web-1",
            Family = "IPv4",
            Received = _time.Start,
            ApiMs = 900,
            TotalMs = 1000,
        });
        _store.SetNetwork(new NetworkInputs());
        _store.SourceComplete();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _text.Dispose();
        _metrics.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void Names_types_labels_and_buckets_are_kube_proxys()
    {
        IReadOnlyDictionary<string, PrometheusFamily> ours = PrometheusChecker.Read(_text.Write());
        string[] theirs = [.. Repository.Read("tests/ClusterLb.Tests/Agent/Metrics/kube-proxy-1.36.txt").Split('\n')
            .Where(line => line.Length > 0 && line[0] != '#' && !NotOurs.Contains(line.Split(' ')[0]))];

        Assert.Equal(theirs, theirs.Select(line => ours.GetValueOrDefault(line.Split(' ')[0])?.ToString() ?? "missing"));
        Assert.All(
            ours.Keys.Where(name => !name.StartsWith("clusterlb_", StringComparison.Ordinal)),
            name => Assert.Contains(theirs, line => line.StartsWith(name + " ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Changes_are_counted_when_they_come_and_pending_until_they_are_written()
    {
        _loop.SyncNow();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.5")));
        _store.Put(Slice("web", "2", "http:8080/TCP", Ready("10.244.1.6")));
        _store.Put(Slice("web", "2", "http:8080/TCP", Ready("10.244.1.6"))); // no change
        string before = _text.Write();
        _loop.SyncNow();
        string after = _text.Write();

        Assert.Contains("\nkubeproxy_sync_proxy_rules_service_changes_pending 1\n", before, StringComparison.Ordinal);
        Assert.Contains("\nkubeproxy_sync_proxy_rules_endpoint_changes_pending 2\n", before, StringComparison.Ordinal);
        Assert.Contains("\nkubeproxy_sync_proxy_rules_service_changes_pending 0\n", after, StringComparison.Ordinal);
        Assert.Contains("\nkubeproxy_sync_proxy_rules_endpoint_changes_pending 0\n", after, StringComparison.Ordinal);
        Assert.Contains("\nkubeproxy_sync_proxy_rules_service_changes_total 1\n", after, StringComparison.Ordinal);
        Assert.Contains("\nkubeproxy_sync_proxy_rules_endpoint_changes_total 2\n", after, StringComparison.Ordinal);
    }

    [Fact]
    public void Service_ports_that_lack_a_local_backend_are_counted_by_family_and_policy()
    {
        _store.Put(Service("web", "10.96.0.1,fd10:96::1", "http:80/TCP", "admin:81/TCP") with { InternalTrafficPolicy = TrafficPolicy.Local });
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.5", "node-b")));
        _store.Put(Slice("web", "2", "admin:8081/TCP", Ready("10.244.1.5", "node-a")));
        _loop.SyncNow();
        Assert.Contains("no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"} 1\n", _text.Write(), StringComparison.Ordinal);
        Assert.Contains("no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"internal\"} 0\n", _text.Write(), StringComparison.Ordinal);
        Assert.Contains("no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"} 0\n", _text.Write(), StringComparison.Ordinal);

        _store.RemoveService(new ObjectName("test", "web"));
        _loop.SyncNow();
        Assert.Contains("no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"} 0\n", _text.Write(), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_the_time_of_a_change_goes_is_told_by_stage()
    {
        var change = new TracedChange
        {
            Number = 2,
            Service = "test/web",
            Kind = "Service",
            Object = "test/web",
            IsRemoval = true,
            Received = _time.Start,
            ReadMs = 250,
            WriteMs = 750,
            PacketMs = 4_000,
        };
        _metrics.RecordWritten(change); // without a time of the control plane
        _metrics.RecordFirstPacket(change);
        string text = _text.Write();

        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_count{stage=\"api\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_sum{stage=\"api\"} 0.9\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_count{stage=\"read\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_sum{stage=\"read\"} 0.25\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_sum{stage=\"write\"} 0.75\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_sync_stage_duration_seconds_sum{stage=\"packet\"} 4\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_service_implementation_delay_count{action=\"upsert\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\nclusterlb_service_implementation_delay_sum{action=\"delete\"} 1\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Pressure_is_of_each_family_by_itself()
    {
        for (uint i = 1; i <= 8; i++)
        {
            _maps.Services.Update(new ServiceKey(IpAddr.FromIpv4(i), 80, IpProtocol.Tcp, LookupScope.External, 0), default);
        }

        string text = _text.Write();
        double pressure = 8.0 / _maps.Services.Capacity;
        Assert.Contains($"clusterlb_bpf_map_pressure{{map_name=\"services\",ip_family=\"IPv4\"}} {pressure.ToString(System.Globalization.CultureInfo.InvariantCulture)}\n", text, StringComparison.Ordinal);
        Assert.Contains("clusterlb_bpf_map_pressure{map_name=\"services\",ip_family=\"IPv6\"} 0\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_done_to_maps_and_what_came_in_is_counted_by_kind()
    {
        _loop.SyncNow();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _store.Put(Service("web", "10.96.0.1", "http:81/TCP"));
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.5"), Terminating("10.244.1.6")));
        _loop.SyncNow();
        _store.RemoveService(new ObjectName("test", "web"));
        _loop.SyncNow();

        string text = _text.Write();
        foreach (string line in (string[])
            [
                "services_events_total{action=\"add\"} 1", "services_events_total{action=\"update\"} 1", "services_events_total{action=\"delete\"} 1",
                "k8s_terminating_endpoints_events_total 1",
                "bpf_map_ops_total{map_name=\"backends\",operation=\"update\",outcome=\"success\"} 2",
                "bpf_map_ops_total{map_name=\"backends\",operation=\"delete\",outcome=\"success\"} 2",
                "bpf_map_ops_total{map_name=\"backends\",operation=\"update\",outcome=\"fail\"} 0",
            ])
        {
            Assert.Contains($"clusterlb_{line}", text.Split('\n'));
        }
    }

    [Fact]
    public void Replies_are_told_from_requests()
    {
        var lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Syn());
        lb.Send(Packet.Tcp("10.244.1.5:8080", "10.244.0.9:41000").SynAck());
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80"));

        Assert.Equal((3ul, 1ul), (lb.Counters.Packets(Verdict.Forward), lb.Counters.ReplyPackets(Verdict.Forward)));
        Assert.True(lb.Counters.ReplyBytes(Verdict.Forward) < lb.Counters.Bytes(Verdict.Forward));
    }
}
