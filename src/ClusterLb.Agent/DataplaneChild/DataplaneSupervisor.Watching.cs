using System.Diagnostics.CodeAnalysis;
using ClusterLb.Dataplane.Maps;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.DataplaneChild;

/// <content>What happens when a dataplane ends, or lives without doing anything.</content>
public sealed partial class DataplaneSupervisor
{
    private const int HeartbeatTimeoutMs = 2_000;
    private const int WatchIntervalMs = 250;

    // A dataplane that dies young is started again ever more slowly; one that had served is started at once.
    private const int YoungMs = 1_000;
    private const int FirstDelayMs = 100;
    private const int LongestDelayMs = 5_000;

    private int _restarts;
    private int _delayMs;
    private int _restartLoops;

    private void Watch(DataplaneLink link)
    {
        _link = link;
        _problem = null;
        new Thread(() => WatchUntilEnd(link)) { Name = "dataplane-watch", IsBackground = true }.Start();
    }

    private void WatchUntilEnd(DataplaneLink link)
    {
        long begun = Environment.TickCount64;
        long lastBeat = 0;
        int silentMs = 0;
        try
        {
            while (!ProcessInterop.HasEnded(link.Process, WatchIntervalMs))
            {
                // Time is counted in our own wake-ups, not by the clock: after a pause of the whole machine nobody is blamed.
                long beat = OldestHeartbeat();
                silentMs = beat != lastBeat ? 0 : silentMs + WatchIntervalMs;
                lastBeat = beat;
                if (silentMs >= HeartbeatTimeoutMs && _link == link)
                {
                    _problem = $"A worker of dataplane {_pid} has shown no sign of life for {HeartbeatTimeoutMs / 1000} s.";
                    _log.LogError("{Problem} It is ended.", _problem);
                    ProcessInterop.SendSignal(link.Process, ProcessInterop.SignalKill);
                    silentMs = 0;
                }
            }
        }
        catch (ObjectDisposedException)
        {
            return; // let go of, by Stop or Dispose
        }

        if (Interlocked.CompareExchange(ref _link, null, link) == link)
        {
            Interlocked.Increment(ref _restarts); // before the next one can be seen to serve

            // Only who started a process learns how it ended: of an adopted one nothing can be said.
            string? end = ProcessInterop.Reap(link.Process);
            link.Dispose();
            _problem = end is null ? $"Dataplane {_pid} ended, or was killed." : $"Dataplane {_pid} ended with {end}.";
            _log.LogError("{Problem} It is started again; packets wait in the queues.", _problem);
            _delayMs = Environment.TickCount64 - begun < YoungMs ? Math.Clamp(_delayMs * 2, FirstDelayMs, LongestDelayMs) : 0;
            _ = RestartAsync();
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever it was: the next try may work, and people see why not.")]
    private async Task RestartAsync()
    {
        int loop = Interlocked.Increment(ref _restartLoops); // the newest goes on, an older one ends
        while (true)
        {
            try
            {
                await Task.Delay(_delayMs, _ending.Token);
                await _gate.WaitAsync(_ending.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                if (_wanted && _link is null && loop == _restartLoops)
                {
                    await BringUpAsync(_ending.Token);
                    _ = KeepSuccessorAsync();
                }

                return;
            }
            catch (Exception e) when (!_ending.IsCancellationRequested)
            {
                _delayMs = Math.Clamp(_delayMs * 2, FirstDelayMs, LongestDelayMs);
                _problem = e.Message;
                _log.LogError("The dataplane cannot be started, next try in {Delay} ms: {Reason}", _delayMs, e.Message);
            }
            finally
            {
                _gate.Release();
            }
        }
    }

    /// <summary>Of the newest dataplane's workers the one that has been silent longest; 0 if there is none.</summary>
    private long OldestHeartbeat()
    {
        IReadOnlyList<WorkerHeartbeat> beats = _maps.Heartbeats;
        ulong newest = beats.Select(beat => beat.Incarnation).DefaultIfEmpty().Max();
        return beats.Where(beat => beat.Incarnation == newest).Select(beat => beat.TimeNs).DefaultIfEmpty().Min();
    }
}
