using System.Diagnostics.CodeAnalysis;
using ClusterLb.Dataplane.Host;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.DataplaneChild;

/// <content>The successor: a second process beside the dataplane, which has everything and waits for the lease. It serves
/// milliseconds after the dataplane ended, with the agent dead or alive (docs/reliability.md).</content>
public sealed partial class DataplaneSupervisor
{
    private const int SuccessorFirstDelayMs = 1_000;
    private const int SuccessorLongestDelayMs = 60_000;

    private readonly bool _withSuccessor;
    private volatile DataplaneLink? _successor;
    private volatile int _successorPid;
    private int _successorLoops;

    /// <summary>The successor of a dataplane that has ended, as soon as it serves; null if there is none, or it cannot.</summary>
    private async Task<DataplaneLink?> FindSuccessorAsync(CancellationToken cancellation)
    {
        DataplaneLink? link = Interlocked.Exchange(ref _successor, null) ?? _launcher.TryFindSuccessor();
        if (link is null)
        {
            return null;
        }

        try
        {
            // Looks, a millisecond apart, and not the time: an answer may be waited for longer than this, and be the last one before it serves.
            for (int look = 0; look < LeaseTimeout.TotalMilliseconds; look++)
            {
                DataplaneStatus status = await AwaitStatusAsync(link, cancellation);
                if (status.Serving)
                {
                    _launcher.PromoteSuccessor(status.Pid);
                    _pid = status.Pid;
                    _log.LogInformation("Dataplane {Pid} has taken over from the one that ended; generation {Generation}.", status.Pid, status.Generation);
                    return link;
                }

                await Task.Delay(1, cancellation);
            }

            _log.LogWarning("The successor does not serve although the dataplane has ended; it is ended, too.");
        }
        catch (Exception e) when (e is ControlSocketException or TimeoutException)
        {
            _log.LogWarning("The successor could not take over: {Reason}", e.Message);
        }
        catch
        {
            link.Dispose();
            throw;
        }

        await EndAsync(link);
        return null;
    }

    /// <summary>Sees to it that a successor waits, trying again until it does. Returns when one waits or none is wanted.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever it was: packets are served, and the next try may work.")]
    private async Task KeepSuccessorAsync(int delayMs = 0)
    {
        int loop = Interlocked.Increment(ref _successorLoops); // the newest goes on, an older one ends
        while (_withSuccessor)
        {
            try
            {
                await Task.Delay(delayMs, _ending.Token);
                await _gate.WaitAsync(_ending.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                if (_wanted && _link is { } serving && _successor is null && loop == _successorLoops)
                {
                    await BringUpSuccessorAsync(serving, _ending.Token);
                }

                return;
            }
            catch (Exception) when (_link is null)
            {
                return; // the dataplane has ended meanwhile: the next one gets its successor
            }
            catch (Exception e) when (!_ending.IsCancellationRequested)
            {
                delayMs = Math.Clamp(delayMs * 2, SuccessorFirstDelayMs, SuccessorLongestDelayMs);
                _log.LogWarning("No successor of the dataplane could be started, next try in {Delay} ms: {Reason}", delayMs, e.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            finally
            {
                _gate.Release();
            }
        }
    }

    private async Task BringUpSuccessorAsync(DataplaneLink serving, CancellationToken cancellation)
    {
        using Estate estate = await AskEstateAsync(serving, cancellation);
        string identity = estate.Identity;
        DataplaneLink? link = await TryKeepSuccessorAsync(identity, cancellation);
        if (link is null)
        {
            using StateLease lease = StateLease.Open(_stateDirectory, StateLease.DataplaneFileName); // not taken: it is to wait for it
            link = await _launcher.LaunchAsync(lease, DataplaneProcess.SuccessorVerb, _queues.Count, cancellation);
            bool hasTask = false;
            try
            {
                DataplaneStatus status = await AskStatusAsync(link, cancellation);
                RefuseOtherBuild(status);
                _launcher.PublishSuccessor(); // before it has its task: should this agent die, the next one finds it
                var request = new ControlMessage { Kind = ControlKind.Succeed, Descriptors = estate.Names, Estate = identity };
                _successorPid = status.Pid;
                hasTask = true;
                await link.RequestAsync(request, StartTimeout, [.. estate.Handles], cancellation); // it rehearses before it answers
            }
            catch (OperationCanceledException) when (hasTask)
            {
                link.Dispose(); // it needs no agent any more, and perhaps it serves already
                throw;
            }
            catch
            {
                await EndAsync(link);
                throw;
            }

            _launcher.PrepareSuccessor(_successorPid);
            _log.LogInformation("Process {Pid} is ready to serve should the dataplane end.", _successorPid);
        }

        _successor = link;
        new Thread(() => WatchSuccessor(link)) { Name = "successor-watch", IsBackground = true }.Start();
    }

    /// <summary>The very memory that a dataplane writes: not what lies under its files' names by now, nor what is configured.</summary>
    private async Task<Estate> AskEstateAsync(DataplaneLink serving, CancellationToken cancellation)
    {
        DataplaneReply reply = await serving.RequestAsync(
            new ControlMessage { Kind = ControlKind.Files }, AnswerTimeout, cancellation: cancellation);
        IReadOnlyList<string> names = reply.Message.Descriptors ?? [];
        if (names.Count != reply.Descriptors.Length)
        {
            throw new ControlSocketException($"The dataplane sent {reply.Descriptors.Length} files with {names.Count} names.");
        }

        var estate = new Estate();
        estate.AddFiles("", [.. names.Zip(reply.Descriptors)]);
        estate.AddQueues(_queues);
        return estate;
    }

    /// <summary>The successor that an earlier agent started, if it waits with the same files; any other is ended.</summary>
    private async Task<DataplaneLink?> TryKeepSuccessorAsync(string estate, CancellationToken cancellation)
    {
        DataplaneLink? link = _launcher.TryFindSuccessor();
        if (link is null)
        {
            return null;
        }

        bool isServing = false;
        try
        {
            DataplaneStatus status = await AwaitStatusAsync(link, cancellation);
            isServing = status.Serving;
            if (status.IsSuccessor && status.Build == DataplaneProcess.Build && status.Estate == estate)
            {
                _successorPid = status.Pid;
                _launcher.PrepareSuccessor(status.Pid); // the agent before may have died before it did
                _log.LogInformation("Process {Pid} goes on being ready to serve should the dataplane end.", status.Pid);
                return link;
            }
        }
        catch (Exception e) when (e is ControlSocketException or TimeoutException)
        {
            _log.LogWarning("The successor of the dataplane does not answer, and is replaced: {Reason}", e.Message);
        }
        catch
        {
            link.Dispose();
            throw;
        }

        if (isServing)
        {
            link.Dispose();
            throw new ControlSocketException("The last successor serves by now."); // whoever watches the dataplane finds it
        }

        await EndAsync(link);
        return null;
    }

    private void WatchSuccessor(DataplaneLink link)
    {
        try
        {
            while (!ProcessInterop.HasEnded(link.Process, WatchIntervalMs))
            {
            }
        }
        catch (ObjectDisposedException)
        {
            return; // let go of
        }

        // Of one that serves by now others watch the end.
        if (Interlocked.CompareExchange(ref _successor, null, link) == link)
        {
            string? end = ProcessInterop.Reap(link.Process);
            link.Dispose();
            _log.LogWarning("Successor {Pid} of the dataplane ended with {End}; another is started.", _successorPid, end ?? "an unknown status");
            _ = KeepSuccessorAsync(SuccessorFirstDelayMs);
        }
    }

    /// <summary>Ends it, so that nobody follows when the dataplane is ended on purpose.</summary>
    private async Task DismissSuccessorAsync()
    {
        DataplaneLink? link = Interlocked.Exchange(ref _successor, null) ?? _launcher.TryFindSuccessor();
        if (link is not null)
        {
            await EndAsync(link);
        }
    }
}
