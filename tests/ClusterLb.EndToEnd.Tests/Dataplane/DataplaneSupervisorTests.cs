using System.Diagnostics;
using ClusterLb.Agent;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Tun;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.EndToEnd.Tests.Dataplane;

/// <summary>The dataplane as a process: its rights, its death, its next agent. The device is never up, so nobody is disturbed.</summary>
public sealed class DataplaneSupervisorTests : IAsyncLifetime, IDisposable
{
    private readonly string _stateDirectory = Directory.CreateDirectory($"/dev/shm/clb-test-{Guid.NewGuid():n}").FullName;
    private readonly TunOptions _tun = new() { Name = $"clbt{Random.Shared.Next(100_000)}", Queues = 2 };
    private readonly FlowCapacities _flows = new() { Ipv4 = 1_024, Ipv6 = 1_024 };
    private readonly LogLines _log = new();

    private SharedLbMaps _maps = null!;

    private DataplaneSupervisor _supervisor = null!;

    public Task InitializeAsync()
    {
        Begin(_flows);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _supervisor.StopAsync();
        await EndAsync();
        TunDeviceFactory.Remove(_tun.Name);
        Directory.Delete(_stateDirectory, recursive: true);
    }

    public void Dispose() => _log.Dispose();

    [LabFact]
    public async Task It_serves_without_any_right()
    {
        Assert.Equal(DataplaneStart.Started, await _supervisor.EnsureRunningAsync());

        DataplaneStatus status = await ServingAsync();
        string[] lines = File.ReadAllLines($"/proc/{status.Pid}/status");
        Assert.Contains("CapEff:\t0000000000000000", lines);
        Assert.Contains("CapBnd:\t0000000000000000", lines);
        Assert.Contains("NoNewPrivs:\t1", lines);
        Assert.Contains("Groups:\t ", lines);
        Assert.Contains("Uid:\t65534\t65534\t65534\t65534", lines);
        Assert.Equal(2, status.Workers);
        Assert.True(status.Pid == SessionOf(status.Pid), "it has a session of its own");
    }

    [LabFact]
    public async Task It_comes_before_other_processes_where_the_agent_may_say_so()
    {
        await _supervisor.EnsureRunningAsync();
        DataplaneStatus status = await ServingAsync();

        int own = Niceness.Of(Environment.ProcessId);
        Assert.All(Niceness.OfThreads(status.Pid), nice => Assert.Equal(Niceness.MayBeRaised ? new DataplaneOptions().Nice : own, nice));
        Assert.Equal(own, Niceness.Of(Environment.ProcessId));
    }

    [LabFact]
    public async Task A_successor_waits_like_any_process_and_rises_when_it_follows()
    {
        await _supervisor.EnsureRunningAsync();
        int successor = await AwaitSuccessorAsync();
        int raised = Niceness.MayBeRaised ? new DataplaneOptions().Nice : 0;
        await Eventually.IsAsync("its first thread is raised", () => Niceness.Of(successor) == raised);
        Assert.All(Niceness.OfThreads(successor).Skip(1), nice => Assert.Equal(0, nice));
        Assert.Contains(Niceness.OfGroup(successor), new[] { "0", null });

        await SignalAsync((await ServingAsync()).Pid, "KILL");

        await AwaitSuccessorAsync(successor);
        Assert.All(Niceness.OfThreads(successor), nice => Assert.Equal(raised, nice));
        Assert.Contains(Niceness.OfGroup(successor), new[] { $"{raised}", null });
    }

    [LabFact]
    public async Task It_has_no_file_but_those_it_was_given()
    {
        await _supervisor.EnsureRunningAsync();
        DataplaneStatus status = await ServingAsync();

        string[] paths = [.. Directory.GetFiles($"/proc/{status.Pid}/fd").Select(fd => File.ResolveLinkTarget(fd, false)!.FullName)];
        string[] foreign = [.. paths.Where(path =>
            path is not ("/dev/null" or "/dev/urandom" or "/dev/net/tun") && !path.StartsWith(_stateDirectory, StringComparison.Ordinal)
            && !path.Contains("socket:", StringComparison.Ordinal) && !path.Contains("anon_inode:", StringComparison.Ordinal)
            && !path.Contains("pipe:", StringComparison.Ordinal) && !path.Contains("doublemapper", StringComparison.Ordinal)
            && !IsCode(path))];

        Assert.Empty(foreign);
        Assert.Equal(_tun.Queues, paths.Count(path => path == "/dev/net/tun"));
    }

    [LabFact]
    public async Task Killed_it_is_started_again_at_once()
    {
        await _supervisor.EnsureRunningAsync();
        int first = (await ServingAsync()).Pid;

        Process.GetProcessById(first).Kill();

        await Eventually.IsAsync("another one serves", () => _supervisor.Health is { Serving: true } health && health.Pid != first);
        Assert.Equal(1, _supervisor.Health.Restarts);
        Assert.NotEqual(first, (await ServingAsync()).Pid);
    }

    [LabFact]
    public async Task Its_successor_follows_and_is_not_replaced_in_its_turn()
    {
        await _supervisor.EnsureRunningAsync(); // with maps that were made just now
        int successor = await AwaitSuccessorAsync();

        await SignalAsync((await ServingAsync()).Pid, "KILL");

        await AwaitSuccessorAsync(successor);
        Assert.Equal(successor, _supervisor.Health.Pid);
        Assert.Equal(2UL, (await ServingAsync()).Generation);
    }

    [LabFact]
    public async Task The_next_agent_adopts_it_with_its_queues()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;
        await EndAsync(); // as after a kill: the connection and our duplicates of the queues are closed, nobody was asked

        Begin(_flows);
        Assert.Equal(DataplaneStart.Adopted, await _supervisor.EnsureRunningAsync());

        Assert.Equal(pid, (await ServingAsync()).Pid);
        Process.GetProcessById(pid).Kill();
        await Eventually.IsAsync(
            "an adopted one is started again, too", () => _supervisor.Health is { Serving: true } health && health.Pid != pid);
    }

    [LabFact]
    public async Task The_next_agent_adopts_it_with_capacities_that_are_no_power_of_two()
    {
        FlowCapacities flows = _flows with { Ipv4 = 1_000 };
        await EndAsync();
        Begin(flows);
        await _supervisor.EnsureRunningAsync();
        await EndAsync();

        Begin(flows);

        Assert.Equal(DataplaneStart.Adopted, await _supervisor.EnsureRunningAsync());
    }

    [LabFact]
    public async Task Another_configuration_takes_over_from_it_in_order()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;
        await EndAsync();

        Begin(_flows with { Ipv4 = 2_048 });
        Assert.Equal(DataplaneStart.Replaced, await _supervisor.EnsureRunningAsync());

        DataplaneStatus status = await ServingAsync();
        Assert.NotEqual(pid, status.Pid);
        Assert.Equal(2_048 + 1_024, status.FlowCapacity);
        Assert.False(Directory.Exists($"/proc/{pid}"), "the old one is gone");
    }

    public static TheoryData<string> OtherSizes => ["affinity", "fragments", "IPv4 and IPv6 exchanged", "more queues", "fewer queues"];

    [LabTheory, MemberData(nameof(OtherSizes))]
    public async Task Other_sizes_never_take_the_memory_from_the_dataplane_that_writes_it(string what)
    {
        FlowCapacities before = _flows with { Ipv4 = 2_048 };
        (FlowCapacities after, TunOptions tun) = what switch
        {
            "affinity" => (before with { Affinity = 1_024 }, _tun),
            "fragments" => (before with { Fragments = 1_024 }, _tun),
            "IPv4 and IPv6 exchanged" => (before with { Ipv4 = before.Ipv6, Ipv6 = before.Ipv4 }, _tun),
            "more queues" => (before, _tun with { Queues = 3 }),
            _ => (before, _tun with { Queues = 1 }),
        };
        LeaveFlow(before);
        await EndAsync();
        Begin(before);
        await _supervisor.EnsureRunningAsync();
        await EndAsync();

        Begin(after, tun);
        await _supervisor.EnsureRunningAsync();

        int successor = await AwaitSuccessorAsync();
        int serving = (await ServingAsync()).Pid;
        string[] files = StateFilesOf(serving);
        Assert.DoesNotContain(files, file => file.EndsWith("(deleted)", StringComparison.Ordinal));
        Assert.Equal(files, StateFilesOf(successor));
        Assert.Null(FlowTables.FindOtherSize(_stateDirectory, after));
        Assert.Equal(1, await _supervisor.FlushAsync(FlowFilter.All));
    }

    [LabFact]
    public async Task A_successor_has_the_memory_of_the_one_that_serves_even_if_its_name_was_taken_away()
    {
        LeaveFlow(_flows);
        await _supervisor.EnsureRunningAsync();
        int first = (await ServingAsync()).Pid;
        int successor = await AwaitSuccessorAsync();
        File.Delete(Path.Combine(_stateDirectory, "flows", "conntrack4"));

        await SignalAsync(successor, "KILL");
        successor = await AwaitSuccessorAsync(after: successor);
        await SignalAsync(first, "KILL");

        await Eventually.IsAsync("it serves", () => _supervisor.Health is { Serving: true } health && health.Pid != first);
        Assert.Equal(successor, _supervisor.Health.Pid);
        Assert.Equal(1, await _supervisor.FlushAsync(FlowFilter.All));
    }

    [LabFact]
    public async Task A_successor_that_adopts_for_long_is_waited_for()
    {
        var time = new ManualTime();
        await EndAsync();
        Begin(_flows, time: time);
        await _supervisor.EnsureRunningAsync();
        int successor = await AwaitSuccessorAsync();
        int first = (await ServingAsync()).Pid;

        await SignalAsync(successor, "STOP"); // now it takes as long as this test wants
        await SignalAsync(first, "KILL");
        await Eventually.IsAsync("the successor is asked", () => time.Timers > 0);
        BeginTakingOver();
        time.Advance(TimeSpan.FromSeconds(10)); // more than any answer may take

        await Eventually.IsAsync("it is waited for", () => _log.ToString().Contains("still adopting", StringComparison.Ordinal));
        await SignalAsync(successor, "CONT");
        await Eventually.IsAsync(() => $"it serves; {_supervisor.Health}, {time.Timers} timers\n{_log}", () => _supervisor.Health is { Serving: true } health && health.Pid == successor);
        Assert.Equal(successor, (await ServingAsync()).Pid);
    }

    [LabFact]
    public async Task The_next_agent_waits_for_a_dataplane_that_adopts_for_long()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;
        await EndAsync();
        var time = new ManualTime();
        Begin(_flows, time: time);
        await SignalAsync(pid, "STOP");
        BeginTakingOver();

        Task<DataplaneStart> start = _supervisor.EnsureRunningAsync();
        await Eventually.IsAsync("it is asked", () => time.Timers > 0);
        time.Advance(TimeSpan.FromSeconds(10));

        await Eventually.IsAsync("it is waited for", () => _log.ToString().Contains("still adopting", StringComparison.Ordinal));
        await SignalAsync(pid, "CONT");
        Assert.Equal(DataplaneStart.Adopted, await start);
    }

    [LabFact]
    public async Task One_that_is_stopped_by_a_signal_is_ended_and_replaced()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;

        using Process stop = Process.Start("kill", $"-STOP {pid}");

        await Eventually.IsAsync("another one serves", () => _supervisor.Health is { Serving: true } health && health.Pid != pid);
    }

    [LabFact]
    public async Task Asked_to_terminate_it_ends_in_order()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;

        using Process terminate = Process.Start("kill", $"-TERM {pid}");

        await Eventually.IsAsync("another one serves", () => _supervisor.Health is { Serving: true } health && health.Pid != pid);
        Assert.Contains($"Dataplane {pid} ended with exit status 0.", _log.ToString(), StringComparison.Ordinal);
    }

    [LabFact]
    public async Task A_flush_reaches_the_tables()
    {
        LeaveFlow(_flows);
        await _supervisor.EnsureRunningAsync();

        Assert.Equal(1, await _supervisor.FlushAsync(FlowFilter.All));
        Assert.Equal(0, await _supervisor.FlushAsync(FlowFilter.All));
    }

    [LabFact]
    public async Task Stopped_it_stays_so_until_it_is_wanted_again()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;

        await _supervisor.StopAsync();

        Assert.False(Directory.Exists($"/proc/{pid}"));
        Assert.Null(await _supervisor.StatusAsync());
        Assert.False(_supervisor.Health.Serving);
        Assert.Equal(DataplaneStart.Started, await _supervisor.EnsureRunningAsync());
    }

    [LabFact]
    public async Task A_start_that_failed_is_repeated()
    {
        using (StateLease other = StateLease.Open(_stateDirectory, StateLease.DataplaneFileName))
        {
            Assert.True(other.TryTake());
            await Assert.ThrowsAsync<DataplaneException>(() => _supervisor.EnsureRunningAsync());
            Assert.False(_supervisor.Health.Serving);
        }

        await Eventually.IsAsync("the next try succeeds", () => _supervisor.Health.Serving);
        await ServingAsync();
    }

    [LabFact]
    public async Task A_start_that_was_cancelled_is_repeated()
    {
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(10));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _supervisor.EnsureRunningAsync(cancel.Token));

        await Eventually.IsAsync("the next try succeeds", () => _supervisor.Health.Serving);
        await ServingAsync();
    }

    [LabFact]
    public async Task One_that_answers_nothing_is_not_adopted()
    {
        await _supervisor.EnsureRunningAsync();
        int pid = (await ServingAsync()).Pid;
        await EndAsync();
        using Process stop = Process.Start("kill", $"-STOP {pid}");
        await stop.WaitForExitAsync();

        Begin(_flows);

        Assert.Equal(DataplaneStart.Started, await _supervisor.EnsureRunningAsync());
        Assert.NotEqual(pid, (await ServingAsync()).Pid);
        Assert.False(Directory.Exists($"/proc/{pid}"), "the old one is gone");
    }

    [LabFact]
    public void A_queue_that_is_handed_out_twice_is_not_taken_for_two()
    {
        IReadOnlyList<SafeFileHandle> queues = TunDeviceFactory.Open(_tun, out _);
        using SafeFileHandle again = ProcessInterop.Duplicate(queues[0]);
        try
        {
            Assert.True(DataplaneSupervisor.AreQueuesOf(_tun.Name, queues));
            Assert.False(DataplaneSupervisor.AreQueuesOf(_tun.Name, [queues[0], again]));
            Assert.False(DataplaneSupervisor.AreQueuesOf("other", queues));
            Assert.False(DataplaneSupervisor.AreQueuesOf(_tun.Name, []));
        }
        finally
        {
            queues.ToList().ForEach(queue => queue.Dispose());
        }
    }

    [LabFact]
    public void A_state_directory_has_one_agent()
    {
        using StateLease lease = StateLease.TakeForAgent(_stateDirectory);

        IOException e = Assert.Throws<IOException>(() => StateLease.TakeForAgent(_stateDirectory));
        Assert.Contains("in use by another agent", e.Message, StringComparison.Ordinal);
    }

    [LabFact]
    public void A_lease_whose_file_was_removed_is_nobodys()
    {
        using StateLease waiting = StateLease.Open(_stateDirectory, StateLease.AgentFileName);
        using (StateLease cleaning = StateLease.TakeForAgent(_stateDirectory))
        {
            File.Delete(cleaning.FilePath);
        }

        Assert.False(waiting.TryTake());
        Assert.False(waiting.IsCurrent);
        using StateLease lease = StateLease.TakeForAgent(_stateDirectory);
        Assert.False(waiting.TryTake());
        Assert.True(lease.IsCurrent);
    }

    private void Begin(FlowCapacities flows, TunOptions? tun = null, TimeProvider? time = null)
    {
        _maps = SharedLbMaps.OpenForWriting(_stateDirectory, LbMapCapacities.Small, _ => { });
        _supervisor = new DataplaneSupervisor(
            _stateDirectory, tun ?? _tun, flows, _maps, DataplaneCommand.OfThisProgram(), new DataplaneOptions(), _log, time);
    }

    /// <summary>As if an earlier dataplane had left it.</summary>
    private void LeaveFlow(FlowCapacities flows)
    {
        using FlowTables tables = FlowTables.OpenForWriting(_stateDirectory, flows, Assert.Fail);
        IpAddr client = IpAddr.FromIpv4(0x0AF4_0001);
        var flow = new NewFlow
        {
            Original = new FlowTuple(client, IpAddr.FromIpv4(0x0A60_000A), 41_000, 80, IpProtocol.Tcp),
            Reply = new FlowTuple(IpAddr.FromIpv4(0x0A01_0004), client, 8_080, 41_000, IpProtocol.Tcp),
            ExpiresMs = long.MaxValue - 1,
        };
        Assert.Equal(CreateResult.Created, tables.TryCreate(flow, nowMs: 1, out _));
    }

    /// <summary>The first thing that a dataplane does which takes over, long before it answers.</summary>
    private void BeginTakingOver()
    {
        using var slots = new WorkerSlots(_maps.OpenWorkersDescriptor(), _maps);
        slots.TakeOver();
    }

    private async Task<int> AwaitSuccessorAsync(int? after = null)
    {
        int? successor = null;
        await Eventually.IsAsync("a successor waits", () => (successor = _supervisor.Health.SuccessorPid) is not null && successor != after);
        return successor!.Value;
    }

    private static async Task SignalAsync(int pid, string signal)
    {
        using Process kill = Process.Start("kill", $"-{signal} {pid}");
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>The files of the state directory that a process has open; "(deleted)" if another one has the name by now.</summary>
    private string[] StateFilesOf(int pid) => [.. new DirectoryInfo($"/proc/{pid}/fd").EnumerateFileSystemInfos()
        .Select(fd => fd.LinkTarget ?? "").Where(path => path.StartsWith(_stateDirectory, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal)];

    private async Task EndAsync()
    {
        await _supervisor.DisposeAsync();
        _maps.Dispose();
    }

    private async Task<DataplaneStatus> ServingAsync()
    {
        DataplaneStatus? status = await _supervisor.StatusAsync();
        Assert.True(status is { Serving: true }, _log.ToString());
        return status;
    }

    private static int SessionOf(int pid) => int.Parse(ProcStat.Of(pid)[3]);

    private static bool IsCode(string path) =>
        path.EndsWith(".dll", StringComparison.Ordinal) || path.EndsWith(".so", StringComparison.Ordinal)
        || path.StartsWith("/usr/", StringComparison.Ordinal);
}
