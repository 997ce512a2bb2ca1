using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <content>How a dataplane comes to serve: adopted as it is, or started, taking over from another if there is one.</content>
public sealed partial class DataplaneSupervisor
{
    private async Task<DataplaneStart> BringUpAsync(CancellationToken cancellation)
    {
        DataplaneLink? found = await FindAsync(cancellation);
        bool succeeded = false;
        if (found is null)
        {
            found = await FindSuccessorAsync(cancellation);
            succeeded = found is not null;
        }

        if (found is null)
        {
            EndUnreachable();
            await StartAsync(old: null, cancellation);
            return DataplaneStart.Started;
        }

        try
        {
            if (await TryAdoptAsync(found, cancellation))
            {
                return succeeded ? DataplaneStart.Succeeded : DataplaneStart.Adopted;
            }

            await StartAsync(found, cancellation);
            return DataplaneStart.Replaced;
        }
        catch
        {
            found.Dispose(); // it serves on if it was not ended yet, and is found again
            throw;
        }
    }

    /// <summary>A dataplane that serves the state directory and answers; one that does not is ended.</summary>
    private async Task<DataplaneLink?> FindAsync(CancellationToken cancellation)
    {
        DataplaneLink? link = _launcher.TryFind();
        if (link is null)
        {
            return null;
        }

        try
        {
            DataplaneStatus status = await AwaitStatusAsync(link, cancellation);
            if (status.Serving)
            {
                _pid = status.Pid;
                return link;
            }
        }
        catch (Exception e) when (e is ControlSocketException or TimeoutException)
        {
            _log.LogWarning("A dataplane was found that does not answer, and is ended: {Reason}", e.Message);
        }
        catch
        {
            link.Dispose();
            throw;
        }

        await EndAsync(link);
        return null;
    }

    /// <summary>Ends dataplanes that hold our device and that no socket leads to: somebody removed the state directory, or files of it.</summary>
    private void EndUnreachable()
    {
        if (_queues.Count > 0 || !TunDeviceFactory.IsInUse(_tun.Name))
        {
            return;
        }

        _log.LogWarning("A process that no socket in {StateDirectory} leads to serves {Device}: it is ended, and a new dataplane started.", _stateDirectory, _tun.Name);
        foreach (int pid in LostProcesses.EndDataplanes(_tun.Name))
        {
            _log.LogWarning("Process {Pid} has a queue of {Device} open and may not be ClusterLb's: it was left alone.", pid, _tun.Name);
        }
    }

    /// <summary>Takes the queues over. False if the dataplane has to be replaced; it serves on meanwhile.</summary>
    private async Task<bool> TryAdoptAsync(DataplaneLink link, CancellationToken cancellation)
    {
        DataplaneStatus status;
        DataplaneReply reply;
        try
        {
            status = await AskStatusAsync(link, cancellation);
            reply = await link.RequestAsync(
                new ControlMessage { Kind = ControlKind.Queues }, AnswerTimeout, cancellation: cancellation);
        }
        catch (Exception e) when (e is ControlSocketException or TimeoutException)
        {
            _log.LogWarning("Dataplane {Pid} is replaced by a new one, for it does not hand out its queues: {Reason}", _pid, e.Message);
            return false;
        }

        // Not to be trusted blindly: what is kept must be queues of our device, one for each worker.
        bool servesUs = reply.Descriptors.Length == status.Workers && AreQueuesOf(_tun.Name, reply.Descriptors);
        if (servesUs)
        {
            CloseQueues();
            _queues = reply.Descriptors;
        }
        else
        {
            foreach (SafeFileHandle queue in reply.Descriptors)
            {
                queue.Dispose();
            }
        }

        if (WhyReplace(status, servesUs) is { } why)
        {
            _log.LogInformation("Dataplane {Pid} is replaced by a new one: {Reason}.", status.Pid, why);
            return false;
        }

        if (_queues.Count != _tun.Queues)
        {
            _log.LogWarning(
                "The dataplane serves {Queues} queues, and {Wanted} are configured; that takes effect once the device is made anew (clusterlb cleanup).",
                _queues.Count, _tun.Queues);
        }

        _log.LogInformation("Dataplane {Pid} goes on serving {Queues} queues.", status.Pid, _queues.Count);
        _mapsAreServed = true;
        Watch(link);
        return true;
    }

    /// <summary>True if all are queues of this device, and no two of them the same: the other's packets would be lost with its last descriptor.</summary>
    internal static bool AreQueuesOf(string device, IReadOnlyList<SafeFileHandle> queues) =>
        queues.Count > 0 && queues.All(queue => TunDeviceFactory.NameOf(queue) == device)
        && !queues.Where((queue, i) => queues.Take(i).Any(before => ProcessInterop.IsSameOpenFile(before, queue))).Any();

    private string? WhyReplace(DataplaneStatus status, bool servesUs)
    {
        if (status.Protocol != ControlMessage.CurrentProtocol || status.Build != DataplaneProcess.Build)
        {
            return "it is of another version";
        }

        if (status.MapsRetired || (!_mapsAreServed && _maps.AdoptionReport.Any(report => report.IsNewFile)))
        {
            return "the maps lie in new files";
        }

        return FlowTables.FindOtherSize(_stateDirectory, _flows) ?? (servesUs ? null : $"it does not serve '{_tun.Name}'");
    }

    /// <summary>Launches a dataplane; lets the old one, if any, stop at a batch boundary; lets the new one read on.</summary>
    /// <param name="old">Serves; disposed here, unless it serves on because the new one cannot be launched.</param>
    /// <param name="cancellation">Up to the point where the old one is stopped.</param>
    private async Task StartAsync(DataplaneLink? old, CancellationToken cancellation)
    {
        using StateLease lease = StateLease.Open(_stateDirectory, StateLease.DataplaneFileName);
        if (lease.TryTake())
        {
            _maps.ForgetWorkers(); // nobody lives, and perhaps nobody will soon: the maps must not fill up meanwhile
        }

        DataplaneLink fresh = await _launcher.LaunchAsync(lease, DataplaneProcess.Verb, Math.Max(_queues.Count, _tun.Queues), cancellation);
        try
        {
            DataplaneStatus status = await AskStatusAsync(fresh, cancellation);
            RefuseOtherBuild(status);
            await DismissSuccessorAsync(); // the lease must fall to the new one
            if (old is not null)
            {
                await EndAsync(old);
            }

            await TakeAsync(lease);
            OpenQueues();
            _launcher.Publish();
            await HandOverAsync(fresh);
            _pid = status.Pid;
        }
        catch
        {
            await EndAsync(fresh);
            throw;
        }

        Watch(fresh);
    }

    /// <summary>The open file is the child's as well, so the lease is its lease from the start, and only its when we close ours.</summary>
    private static async Task TakeAsync(StateLease lease)
    {
        long begun = Environment.TickCount64;
        while (!lease.TryTake())
        {
            if (!lease.IsCurrent)
            {
                throw new DataplaneException($"'{lease.FilePath}' was removed while the dataplane started.");
            }

            if (Environment.TickCount64 - begun > LeaseTimeout.TotalMilliseconds)
            {
                throw new DataplaneException(
                    $"'{lease.FilePath}' is held by a dataplane that does not listen. Find it by 'fuser {lease.FilePath}' and end it.");
            }

            await Task.Delay(10);
        }
    }

    private void OpenQueues()
    {
        bool recreated = _queues.Count > 0;
        if (recreated && _queues.All(queue => TunDeviceFactory.NameOf(queue) == _tun.Name))
        {
            return;
        }

        CloseQueues();
        _queues = TunDeviceFactory.Open(_tun, out TunOffloads offloads);
        _log.LogInformation("TUN device {Name} has {Queues} queues and the offloads {Offloads}.", _tun.Name, _queues.Count, offloads);
        if (recreated)
        {
            DeviceRecreated?.Invoke();
        }
    }

    private static void RefuseOtherBuild(DataplaneStatus status)
    {
        if (status.Build != DataplaneProcess.Build)
        {
            throw new DataplaneException(
                "The program on disk is another version than this agent. Restart the agent, so that both are the same.");
        }
    }

    /// <summary>Makes or validates the flow tables, then hands everything over.</summary>
    private async Task HandOverAsync(DataplaneLink link)
    {
        using Estate estate = OpenEstate();
        await link.RequestAsync(
            new ControlMessage { Kind = ControlKind.Start, Descriptors = estate.Names }, StartTimeout, [.. estate.Handles]);
        _mapsAreServed = true;
    }

    /// <summary>Everything that a dataplane needs: of the sizes that are configured, with what the last one left.</summary>
    /// <remarks>The caller has the lease: a file of other sizes gets a new one in its place, which a dataplane that lives would not know.</remarks>
    private Estate OpenEstate()
    {
        var estate = new Estate();
        using (FlowTables tables = FlowTables.OpenForWriting(_stateDirectory, _flows, warning => _log.LogWarning("{Warning}", warning)))
        using (PacketBatches batches = PacketBatches.OpenForWriting(_stateDirectory, Math.Max(_queues.Count, _tun.Queues)))
        using (TraceRing trace = TraceRing.OpenForWriting(_stateDirectory, Math.Max(_queues.Count, _tun.Queues)))
        {
            estate.AddFiles(DescriptorNames.MapsPrefix, _maps.OpenDescriptors(readOnly: true));
            estate.AddFiles(DescriptorNames.FlowsPrefix, tables.OpenDescriptors());
            estate.AddFiles(DescriptorNames.FlowsPrefix,
            [
                (WorkerSlots.FileName, _maps.OpenWorkersDescriptor()),
                (BackendArrivals.FileName, _maps.OpenArrivalsDescriptor(readOnly: false)),
                (TraceRing.FileName, trace.OpenDescriptor()),
                (PacketBatches.FileName, batches.OpenDescriptor()),
            ]);
        }

        estate.AddQueues(_queues);
        return estate;
    }
}
