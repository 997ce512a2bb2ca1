using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Explain;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Host;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent;

public sealed class AdminServerTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("clusterlb-admin-").FullName;
    private readonly RecordingTarget _target = new();
    private AdminServer _server = null!;
    private AdminClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = new AdminServer(_directory, group: null, _target, NullLogger.Instance);
        await _server.StartAsync(CancellationToken.None);
        _client = new AdminClient(_directory);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Status_arrives_as_it_was_told()
    {
        AgentStatus status = await _client.StatusAsync();
        Assert.Equal("node-a", status.NodeName);
        Assert.Equal(["one", "two"], status.Sync.Problems);
        Assert.Equal(new MapStatus("services", 3, 10), Assert.Single(status.Maps));
        Assert.Null(status.Dataplane);
    }

    [Fact]
    public async Task The_trace_of_changes_arrives_as_it_was_told()
    {
        SyncTraceReport report = await _client.SyncTraceAsync();
        TracedChange change = Assert.Single(report.Changes);
        Assert.Equal((20.0, 0.5, 1.0, null, FirstPacket.Awaited), (change.ApiMs, change.ReadMs, change.WriteMs, change.PacketMs, change.FirstPacket));
        Assert.Equal(["api", "read", "write", "packet", "total"], report.Stages.Select(s => s.Stage));
        Assert.Equal(0, report.Stages[3].Count);
    }

    [Fact]
    public async Task Decisions_about_a_service_port_arrive_as_they_were_told()
    {
        BackendDecisions decisions = await _client.DecisionsAsync("default/web:http", "TCP", isIpv4: true);
        Assert.Equal("Tcp, True", decisions.Hints);
        Assert.Equal(new BackendDecision("10.244.1.5:8080/TCP", "not ready", null), Assert.Single(decisions.Backends));

        AdminException e = await Assert.ThrowsAsync<AdminException>(() => _client.DecisionsAsync("default/none", "UDP", isIpv4: false));
        Assert.Contains("does not know service port default/none", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Flush_carries_its_filter_there_and_its_count_back()
    {
        Assert.Equal(42, await _client.FlushConntrackAsync(new FlushRequest { Client = "10.0.0.9/32", FrontendPort = 80 }));
        Assert.Equal(new FlushRequest { Client = "10.0.0.9/32", FrontendPort = 80 }, _target.Flushed);
    }

    [Fact]
    public async Task Stop_start_and_resync_are_told_and_answered()
    {
        Assert.Equal("stopped", (await _client.StopDataplaneAsync()).Message);
        Assert.Equal("started", (await _client.StartDataplaneAsync()).Message);
        Assert.True((await _client.ResyncAsync()).Done);
    }

    [Fact]
    public async Task What_fails_comes_back_as_one_line()
    {
        _target.Failure = new InvalidOperationException("The dataplane is gone.");
        AdminException e = await Assert.ThrowsAsync<AdminException>(() => _client.StopDataplaneAsync());
        Assert.Equal("The dataplane is gone.", e.Message);
    }

    [Fact]
    public async Task Without_an_agent_the_client_says_where_it_looked()
    {
        using var nobody = new AdminClient("/nonexistent");
        AdminException e = await Assert.ThrowsAsync<AdminException>(() => nobody.StatusAsync());
        Assert.Contains("/nonexistent/admin.sock", e.Message);
        Assert.Contains("No agent runs here", e.Message);
    }

    [Fact]
    public void Only_owner_and_group_may_open_the_socket() =>
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite,
            File.GetUnixFileMode(AdminClient.SocketPath(_directory)));

    [Fact]
    public async Task A_socket_that_a_killed_agent_left_is_replaced()
    {
        var second = new AdminServer(_directory, group: null, _target, NullLogger.Instance);
        await second.StartAsync(CancellationToken.None);
        Assert.Equal("node-a", (await _client.StatusAsync()).NodeName);
        await second.DisposeAsync();
    }

    private sealed class RecordingTarget : IAdminTarget
    {
        public FlushRequest? Flushed { get; private set; }

        public Exception? Failure { get; set; }

        public Task<AgentStatus> StatusAsync(CancellationToken cancellation) => Task.FromResult(new AgentStatus
        {
            Version = "1",
            Pid = 1,
            StartedAt = DateTimeOffset.UnixEpoch,
            NodeName = "node-a",
            StateDirectory = "/d",
            Healthy = true,
            Sync = new SyncStatus { Source = "manifests", Complete = true, Problems = ["one", "two"] },
            Steering = new SteeringStatus { Installed = true, Device = "clb0" },
            Maps = [new MapStatus("services", 3, 10)],
        });

        public BackendDecisions? Decisions(string servicePort, IpProtocol protocol, bool isIpv4) => servicePort == "default/web:http"
            ? new BackendDecisions($"{protocol}, {isIpv4}", [new BackendDecision("10.244.1.5:8080/TCP", "not ready", null)])
            : null;

        public SyncTraceReport SyncTrace()
        {
            TracedChange change = new()
            {
                Number = 1,
                Service = "test/web",
                Kind = "EndpointSlice",
                Object = "test/web-1",
                Received = DateTimeOffset.UnixEpoch,
                ApiMs = 20,
                ReadMs = 0.5,
                WriteMs = 1,
                TotalMs = 21.5,
                FirstPacket = FirstPacket.Awaited,
            };
            return new SyncTraceReport { Stages = StageLatency.Of([change]), Changes = [change] };
        }

        public Task<long> FlushAsync(FlushRequest which, CancellationToken cancellation)
        {
            Flushed = which;
            return Task.FromResult(42L);
        }

        public Task<AdminAnswer> StopDataplaneAsync(CancellationToken cancellation) =>
            Failure is null ? Task.FromResult(new AdminAnswer(true, "stopped")) : throw Failure;

        public Task<AdminAnswer> StartDataplaneAsync(CancellationToken cancellation) => Task.FromResult(new AdminAnswer(true, "started"));

        public AdminAnswer Resync() => new(true, "soon");
    }
}
