using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>Keeps exactly one dataplane serving the state directory: adopts, starts, watches, replaces (docs/processes.md).</summary>
/// <remarks>
/// Holds a duplicate of every queue, so that packets wait while no dataplane lives. Thread-safe; changes are made one after
/// the other. <see cref="DisposeAsync"/> leaves the dataplane serving.
/// </remarks>
public sealed partial class DataplaneSupervisor : IAsyncDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);

    // Adopting millions of flows takes its time; nothing serves meanwhile, but the packets wait.
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LeaseTimeout = TimeSpan.FromSeconds(3);

    private readonly string _stateDirectory;
    private readonly TunOptions _tun;
    private readonly FlowCapacities _flows;
    private readonly SharedLbMaps _maps;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly DataplaneLauncher _launcher;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _ending = new();
    private IReadOnlyList<SafeFileHandle> _queues = [];
    private volatile DataplaneLink? _link;
    private volatile int _pid;
    private volatile bool _wanted;
    private volatile string? _problem;

    // A dataplane has the maps as this agent opened them; who follows it has them, too.
    private bool _mapsAreServed;

    /// <summary>A supervisor that has done nothing yet.</summary>
    /// <param name="stateDirectory">Its agent.lock is held by the caller.</param>
    /// <param name="tun">The device; created when no dataplane is found that has it.</param>
    /// <param name="flows">Capacities of the flow tables.</param>
    /// <param name="maps">Open for writing; must live longer.</param>
    /// <param name="command">How the dataplane is started.</param>
    /// <param name="options">Whether a second process waits, and where they run.</param>
    /// <param name="log">Also gets the dataplane's lines.</param>
    /// <param name="time">Measures how long answers take; default: the system's.</param>
    public DataplaneSupervisor(
        string stateDirectory, TunOptions tun, FlowCapacities flows, SharedLbMaps maps, DataplaneCommand command, DataplaneOptions options, ILogger log,
        TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _withSuccessor = options.WithSuccessor;
        _stateDirectory = stateDirectory;
        _tun = tun;
        _flows = flows with { Workers = Math.Max(flows.Workers, tun.Queues) };
        _maps = maps;
        _log = log;
        _launcher = new DataplaneLauncher(stateDirectory, command, options, log, _time);
    }

    /// <summary>The interface was deleted by somebody and made anew: addresses, routes and sysctls of it are gone. On any thread.</summary>
    public event Action? DeviceRecreated;

    /// <summary>What is known without asking.</summary>
    public DataplaneHealth Health => new(
        _link is not null && _problem is null,
        _link is null ? null : _pid,
        _restarts,
        _link is null && _wanted ? _problem ?? "The dataplane is being started." : _problem,
        _successor is null ? null : _successorPid);

    /// <summary>Sees to it that a dataplane serves, and goes on doing so until <see cref="StopAsync"/>, a failure of this call included.</summary>
    /// <exception cref="TunException">The TUN device cannot be made or used.</exception>
    /// <exception cref="MapFileException">A flow table cannot be made.</exception>
    /// <exception cref="DataplaneException">No dataplane can be started.</exception>
    public async Task<DataplaneStart> EnsureRunningAsync(CancellationToken cancellation = default)
    {
        await _gate.WaitAsync(cancellation);
        try
        {
            _wanted = true;
            DataplaneStart how = _link is null ? await BringUpAsync(cancellation) : DataplaneStart.AlreadyRunning;
            _ = KeepSuccessorAsync();
            return how;
        }
        catch (Exception e)
        {
            _problem = e.Message;
            _delayMs = FirstDelayMs;
            _ = RestartAsync();
            throw;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Asks the dataplane about itself.</summary>
    /// <returns>Null if none serves or it does not answer.</returns>
    public async Task<DataplaneStatus?> StatusAsync(CancellationToken cancellation = default)
    {
        try
        {
            return _link is { } link ? await AskStatusAsync(link, cancellation) : null;
        }
        catch (Exception e) when (e is ControlSocketException or TimeoutException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Forgets flows.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="DataplaneException">No dataplane serves.</exception>
    /// <exception cref="ControlSocketException">It refused or died.</exception>
    /// <exception cref="TimeoutException">It does not answer.</exception>
    public async Task<long> FlushAsync(FlowFilter filter, CancellationToken cancellation = default)
    {
        DataplaneLink link = _link ?? throw new DataplaneException("No dataplane serves, so no flow can be flushed. See 'clusterlb status'.");
        var request = new ControlMessage { Kind = ControlKind.Flush, Flush = FlushRequest.Of(filter) };
        DataplaneReply reply = await link.RequestAsync(request, StartTimeout, cancellation: cancellation);
        return reply.Message.Flushed ?? 0;
    }

    /// <summary>Ends the dataplane, one of an earlier agent included; it stays so until <see cref="EnsureRunningAsync"/>.</summary>
    /// <remarks>The queues stay in our hands: packets wait in them, then are dropped by the kernel.</remarks>
    public async Task StopAsync(CancellationToken cancellation = default)
    {
        await _gate.WaitAsync(cancellation);
        try
        {
            _wanted = false;
            await DismissSuccessorAsync();
            DataplaneLink? link = Interlocked.Exchange(ref _link, null) ?? await FindAsync(cancellation); // the watcher or we: one disposes
            _problem = null;
            if (link is not null)
            {
                await EndAsync(link);
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Ends the dataplane of a state directory whose agent is dead; for <c>clusterlb cleanup</c>.</summary>
    /// <returns>False if none was running.</returns>
    public static async Task<bool> StopOrphanAsync(string stateDirectory, ILogger log)
    {
        var launcher = new DataplaneLauncher(stateDirectory, DataplaneCommand.OfThisProgram(), new DataplaneOptions(), log, TimeProvider.System);
        bool found = false;
        foreach (DataplaneLink? link in (DataplaneLink?[])[launcher.TryFindSuccessor(), launcher.TryFind()]) // else one would follow the other
        {
            if (link is not null)
            {
                found = true;
                await EndAsync(link);
            }
        }

        return found;
    }

    /// <summary>Lets go of the dataplane, which goes on serving.</summary>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _gate.WaitAsync();
        _wanted = false;
        DataplaneLink? link = Interlocked.Exchange(ref _link, null);
        link?.Dispose();
        Interlocked.Exchange(ref _successor, null)?.Dispose();
        CloseQueues();
        _gate.Release();
    }

    private static async Task<DataplaneStatus> AskStatusAsync(DataplaneLink link, CancellationToken cancellation)
    {
        DataplaneReply reply = await link.RequestAsync(
            new ControlMessage { Kind = ControlKind.Status }, AnswerTimeout, cancellation: cancellation);
        return StatusIn(reply);
    }

    /// <summary>As <see cref="AskStatusAsync"/>, of a process that may be adopting flows just now: it answers when it has done so.</summary>
    private async Task<DataplaneStatus> AwaitStatusAsync(DataplaneLink link, CancellationToken cancellation)
    {
        try
        {
            return await AskStatusAsync(link, cancellation);
        }
        catch (TimeoutException) when (_maps.Heartbeats.Count == 0)
        {
            // A dataplane declares all before it dead, then adopts, and only then its workers beat. One that is stuck has beaten.
            _log.LogInformation("A dataplane takes over and is still adopting flows: it is waited for.");
            DataplaneReply reply = await link.RequestAsync(
                new ControlMessage { Kind = ControlKind.Status }, StartTimeout - AnswerTimeout, cancellation: cancellation);
            return StatusIn(reply);
        }
    }

    private static DataplaneStatus StatusIn(DataplaneReply reply) =>
        reply.Message.Status ?? throw new ControlSocketException("The dataplane answered without a status.");

    /// <summary>Asks it to stop, and makes it if it does not.</summary>
    private static async Task EndAsync(DataplaneLink link)
    {
        using (link)
        {
            try
            {
                await link.RequestAsync(new ControlMessage { Kind = ControlKind.Stop }, StopTimeout);
            }
            catch (ObjectDisposedException)
            {
                return; // let go of by somebody who saw its end
            }
            catch (Exception e) when (e is ControlSocketException or TimeoutException)
            {
                ProcessInterop.SendSignal(link.Process, ProcessInterop.SignalKill);
            }

            if (!ProcessInterop.HasEnded(link.Process, (int)StopTimeout.TotalMilliseconds))
            {
                ProcessInterop.SendSignal(link.Process, ProcessInterop.SignalKill);
                ProcessInterop.HasEnded(link.Process, (int)StopTimeout.TotalMilliseconds);
            }

            ProcessInterop.Reap(link.Process);
        }
    }

    private void CloseQueues()
    {
        foreach (SafeFileHandle queue in _queues)
        {
            queue.Dispose();
        }

        _queues = [];
    }
}
