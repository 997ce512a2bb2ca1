using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Dataplane.Tun;

/// <summary>One thread, one queue: read a batch, run the pipeline on each packet, write the batch. The hot path is everything below <see cref="Run"/>.</summary>
/// <remarks>
/// Between two batches, and while idle, the worker does its share of the chores: expiry of flows, and its sign of life.
/// It looks into the maps only while online (<see cref="WorkerSlots"/>), and never waits while it is.
/// Nothing allocates after construction.
/// </remarks>
public sealed class TunWorker
{
    /// <summary>How often an idle worker wakes for its chores, in milliseconds.</summary>
    public const int IdleMs = 100;

    // Flows looked at per batch: a sweep runs at most once a millisecond, so this costs less than 1 % of a busy core.
    private const int BusySweep = 512;

    // An idle worker wakes ten times a second; so an idle node has swept everything in some 13 seconds.
    private const int IdleSweepFraction = 128;

    // After a backend has left, flows looked at per millisecond: some twenty microseconds, while the look lasts.
    private const int BusyOrphanSlice = 2_048;

    // An idle worker wakes ten times a second, and a client is to be told within one: some milliseconds, when nobody waits.
    private const int IdleOrphanSlice = 131_072;

    // How long an idle worker waits in the middle of a look: a slice ends early when it has asked as many as may be asked at once.
    private const int OrphanSliceMs = 1;

    private const long NanosecondsPerMillisecond = 1_000_000;

    private readonly int _number;
    private readonly ITunDevice _device;
    private readonly PacketPipeline _pipeline;
    private readonly PipelineCounters _counters;
    private readonly FlowTables _flows;
    private readonly WorkerSlots _slots;
    private readonly TraceRing _trace;
    private readonly TimeProvider _time;
    private readonly OrphanSearch _orphans;
    private readonly OrphanQuestion[] _questions = new OrphanQuestion[OrphanPass.MostQuestions];
    private readonly double _nanosecondsPerTick;
    private readonly int _idleSweep;
    private readonly PacketBatch _batch;
    private volatile bool _stopping;

    /// <summary>A worker for the queue of the same number.</summary>
    /// <param name="number">From 0; also its row of counters, its slot and its trace ring.</param>
    /// <param name="device">Shared by all workers.</param>
    /// <param name="pipeline">Of this worker alone.</param>
    /// <param name="counters">Of this worker alone; the pipeline's.</param>
    /// <param name="flows">Shared by all workers.</param>
    /// <param name="orphans">Shared by all workers.</param>
    /// <param name="slots">Shared by all workers.</param>
    /// <param name="trace">Shared by all workers.</param>
    /// <param name="time">CLOCK_MONOTONIC, as the system's provider has it.</param>
    /// <param name="batch">Of this worker alone; may hold what a worker that was killed left.</param>
    public TunWorker(
        int number,
        ITunDevice device,
        PacketPipeline pipeline,
        PipelineCounters counters,
        FlowTables flows,
        OrphanSearch orphans,
        WorkerSlots slots,
        TraceRing trace,
        TimeProvider time,
        PacketBatch batch)
    {
        _batch = batch;
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, device.Queues);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, trace.Workers);
        _number = number;
        _device = device;
        _pipeline = pipeline;
        _counters = counters;
        _flows = flows;
        _orphans = orphans;
        _slots = slots;
        _trace = trace;
        _time = time;
        _nanosecondsPerTick = 1e9 / time.TimestampFrequency;
        _idleSweep = Math.Max(BusySweep, flows.Capacity / IdleSweepFraction);
    }

    /// <summary>Serves the queue until <see cref="Stop"/>.</summary>
    /// <exception cref="TunException">The device is gone.</exception>
    public void Run()
    {
        _slots.Beat(_number, NowNs());
        Recover();
        while (!_stopping)
        {
            RunOnce(IdleMs);
        }
    }

    /// <summary>Ends <see cref="Run"/> at the next batch boundary: no packet that was read is lost. From any thread.</summary>
    public void Stop()
    {
        _stopping = true;
        _device.Wake();
    }

    /// <summary>One batch, or one wait.</summary>
    /// <returns>Packets handled.</returns>
    internal int RunOnce(int idleMs)
    {
        int count = _device.Receive(_number, _batch);
        if (count > 0)
        {
            Handle(NowNs());
        }
        else if (!_device.Wait(_number, _orphans.IsLooking ? Math.Min(idleMs, OrphanSliceMs) : idleMs))
        {
            DoChores(NowNs(), _idleSweep, IdleOrphanSlice);
        }

        return count;
    }

    private void Handle(long nowNs)
    {
        long nowMs = nowNs / NanosecondsPerMillisecond;
        _slots.GoOnline(_number);
        for (int i = 0; i < _batch.Count; i++)
        {
            if (i + 1 < _batch.Count)
            {
                _pipeline.Anticipate(_batch.Packet(i + 1));
            }

            Process(i, nowMs);
        }

        _slots.GoOffline(_number);

        Send();
        if (_trace.HasListener(nowNs))
        {
            Trace(nowNs);
        }

        DoChores(nowNs, BusySweep, BusyOrphanSlice);
    }

    private void Process(int index, long nowMs)
    {
        _batch.BeginWork(index);
        _batch.Verdict(index) = _pipeline.Process(_batch.Buffer(index), ref _batch.Meta(index), nowMs);
        _batch.Decide(index);
    }

    /// <summary>Carries on with what a worker that was killed had read and not yet written.</summary>
    internal void Recover()
    {
        long nowMs = NowNs() / NanosecondsPerMillisecond;
        _batch.Recover();
        _slots.GoOnline(_number);
        for (int i = 0; i < _batch.Count; i++)
        {
            if (_batch.IsRead(i))
            {
                Process(i, nowMs);
            }
        }

        _slots.GoOffline(_number);
        Send();
    }

    private void Send()
    {
        _device.Send(_batch);
        for (int failures = _batch.SendFailures; failures > 0; failures--)
        {
            _counters.CountReason(DropReason.WriteFailed, isReply: false); // which of the batch it was is not known
        }
    }

    private void Trace(long nowNs)
    {
        for (int i = 0; i < _batch.Count; i++)
        {
            _trace.Write(_number, nowNs, _batch.Verdict(i), _batch.Meta(i));
        }
    }

    private void DoChores(long nowNs, int sweep, int orphanSlice)
    {
        long nowMs = nowNs / NanosecondsPerMillisecond;
        _flows.Sweep(nowMs, sweep);
        _counters.CountEvicted(_flows.TakeEvicted(), _flows.TakeAffinityEvicted());
        _counters.CountUnpinned(_flows.TakeAffinityUnpinned());
        if (_orphans.IsDue(nowMs))
        {
            LookForOrphans(nowMs, orphanSlice);
        }

        _slots.Beat(_number, nowNs);
    }

    /// <summary>The batch was sent and traced: its buffers are free for what is to be asked.</summary>
    private void LookForOrphans(long nowMs, int places)
    {
        _slots.GoOnline(_number);
        int count = _orphans.Advance(nowMs, places, _questions);
        _slots.GoOffline(_number);
        if (count == 0)
        {
            return;
        }

        _batch.Clear();
        foreach (ref readonly OrphanQuestion question in _questions.AsSpan(0, count))
        {
            int length = OrphanProbe.Build(_batch.NextFrame[VnetHeader.Length..], question.Tuple, question.ToClient);
            _batch.Add(VnetHeader.Length + length, question.Queue);
            _batch.Verdict(_batch.Count - 1) = Verdict.Reject; // built by us: its vnet header will be cleared
            _batch.Decide(_batch.Count - 1);
        }

        Send();
    }

    private long NowNs() => (long)(_time.GetTimestamp() * _nanosecondsPerTick);
}
