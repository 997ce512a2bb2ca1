using System.Security.Cryptography;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>All that serves packets in this process: maps, flow tables, queues and a thread for each, built from descriptors.</summary>
/// <remarks>Driven by one thread.</remarks>
internal sealed class DataplaneWorkers : IDisposable
{
    private readonly SafeFileHandle[] _queues;
    private readonly SharedLbMaps _maps;
    private readonly FlowTables _flows;
    private readonly OrphanSearch _orphans;
    private readonly WorkerSlots _slots;
    private readonly BackendArrivals _arrivals;
    private readonly TraceRing _trace;
    private readonly LinuxTunDevice _device;
    private readonly PacketBatches _batches;
    private readonly TunWorker[] _workers;
    private readonly Thread[] _threads;
    private readonly TimeProvider _time;
    private readonly long _startedAt;

    private DataplaneWorkers(IReadOnlyDictionary<string, SafeFileHandle> files, SafeFileHandle[] queues, TimeProvider time)
    {
        _queues = queues;
        Files = [.. files.Select(file => (file.Key, file.Value))];
        _time = time;
        _maps = SharedLbMaps.FromDescriptors(Named(files, DescriptorNames.MapsPrefix));
        Dictionary<string, SafeFileHandle> flowFiles = Named(files, DescriptorNames.FlowsPrefix);
        _slots = new WorkerSlots(flowFiles[WorkerSlots.FileName], _maps);
        _slots.TakeOver(); // this process has the lease: no other dataplane lives
        _flows = FlowTables.FromDescriptors(flowFiles);
        _orphans = new OrphanSearch(_maps, _flows);
        _arrivals = BackendArrivals.FromDescriptor(flowFiles[BackendArrivals.FileName], _maps.Awaited!, time);
        _trace = TraceRing.FromDescriptor(flowFiles[TraceRing.FileName]);
        _device = new LinuxTunDevice(queues);
        _batches = PacketBatches.FromDescriptor(flowFiles[PacketBatches.FileName]);
        int packets = Enumerable.Range(0, _batches.Workers).Sum(worker => _batches.Of(worker).CountLeft());
        Adopted = new AdoptedFlows(_flows.Adopted.Kept, _flows.Adopted.Dropped, packets);
        _workers = [.. Enumerable.Range(0, queues.Length).Select(CreateWorker)];
        _threads = new Thread[queues.Length];
        _startedAt = time.GetTimestamp();
    }

    /// <summary>Worker threads.</summary>
    public int Count => _workers.Length;

    /// <summary>The queues' descriptors; still owned here.</summary>
    public IReadOnlyList<(string Name, SafeFileHandle Handle)> Queues => [.. DescriptorNames.Queues(_queues.Length).Zip(_queues)];

    /// <summary>All files as they came, by the names that they came with; still owned here.</summary>
    public IReadOnlyList<(string Name, SafeFileHandle Handle)> Files { get; }

    /// <summary>What the dataplane before this one left.</summary>
    public AdoptedFlows Adopted { get; }

    /// <summary>The number of this dataplane among all of its state directory.</summary>
    public ulong Generation => _slots.Incarnation;

    /// <summary>Flows that fit.</summary>
    public int FlowCapacity => _flows.Capacity;

    /// <summary>A writer with other capacities has taken over the maps: what is mapped here is history.</summary>
    public bool MapsRetired => _maps.IsRetired;

    /// <summary>Time since the threads were started.</summary>
    public TimeSpan ServingFor => _time.GetElapsedTime(_startedAt);

    /// <summary>Maps everything, adopts the flows and starts the threads.</summary>
    /// <param name="names">Of the descriptors, in order.</param>
    /// <param name="descriptors">Owned from now on.</param>
    /// <param name="failed">Told, on the worker's thread, why a worker ended before it was asked to.</param>
    /// <param name="time">CLOCK_MONOTONIC.</param>
    public static DataplaneWorkers Start(
        IReadOnlyList<string> names, SafeFileHandle[] descriptors, Action<string> failed, TimeProvider time)
    {
        if (names.Count != descriptors.Length)
        {
            throw new ControlSocketException($"{descriptors.Length} descriptors came with {names.Count} names.");
        }

        var files = new Dictionary<string, SafeFileHandle>(StringComparer.Ordinal);
        var queues = new List<SafeFileHandle>();
        for (int i = 0; i < descriptors.Length; i++)
        {
            if (names[i].StartsWith(DescriptorNames.QueuePrefix, StringComparison.Ordinal))
            {
                queues.Add(descriptors[i]);
            }
            else
            {
                files[names[i]] = descriptors[i];
            }
        }

        var workers = new DataplaneWorkers(files, [.. queues], time);
        workers._flows.RememberBackends(workers._maps.Backends); // first: what a backend sends late is known for an answer from the first packet on
        workers.StartThreads(failed);
        return workers;
    }

    /// <summary>Forgets flows.</summary>
    /// <returns>How many.</returns>
    public int Flush(FlowFilter filter) => _flows.Flush(filter, Environment.TickCount64);

    /// <summary>Ends all workers, each at a batch boundary, and waits for them.</summary>
    public void Stop()
    {
        foreach (TunWorker worker in _workers)
        {
            worker.Stop();
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _device.Dispose();
        _batches.Dispose();
        _trace.Dispose();
        _arrivals.Dispose();
        _flows.Dispose();
        _slots.Dispose();
        _maps.Dispose();
    }

    private static Dictionary<string, SafeFileHandle> Named(IReadOnlyDictionary<string, SafeFileHandle> files, string prefix) =>
        files.Where(file => file.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(file => file.Key[prefix.Length..], file => file.Value, StringComparer.Ordinal);

    private TunWorker CreateWorker(int number)
    {
        var counters = new PipelineCounters(_flows.Counters(number));
        var random = new FastRandomSource(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))));
        var pipeline = new PacketPipeline(_maps, _flows, counters, random, _arrivals);
        return new TunWorker(number, _device, pipeline, counters, _flows, _orphans, _slots, _trace, _time, _batches.Of(number));
    }

    private void StartThreads(Action<string> failed)
    {
        for (int i = 0; i < _workers.Length; i++)
        {
            TunWorker worker = _workers[i];
            _threads[i] = new Thread(() => Run(worker, failed)) { Name = $"queue-{i}", IsBackground = true };
            _threads[i].Start();
        }
    }

    private static void Run(TunWorker worker, Action<string> failed)
    {
        try
        {
            worker.Run();
        }
        catch (Exception e)
        {
            // Without this worker its queue would swallow flows: the process has to end, and the agent starts the next one.
            failed(e is TunException ? e.Message : e.ToString());
        }
    }
}
