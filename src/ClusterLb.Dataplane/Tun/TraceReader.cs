using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Reads the rings of a running dataplane from another process: what <c>clusterlb monitor</c> shows.</summary>
/// <remarks>Not thread-safe. Begins with what comes after its construction.</remarks>
public sealed class TraceReader : IDisposable
{
    /// <summary>How long workers go on writing after a listener was killed, in nanoseconds.</summary>
    public const long LeaseNs = 2_000_000_000;

    private readonly TraceRing _ring;
    private readonly TimeProvider _time;
    private readonly ulong[] _next;

    /// <summary>Listens to rings; owns them from now on.</summary>
    /// <param name="ring">The rings.</param>
    /// <param name="time">CLOCK_MONOTONIC, as the system's provider has it.</param>
    public TraceReader(TraceRing ring, TimeProvider time)
    {
        _ring = ring;
        _time = time;
        _next = new ulong[ring.Workers];
        for (int worker = 0; worker < _next.Length; worker++)
        {
            _next[worker] = Volatile.Read(ref ring.Position(worker));
        }

        Renew();
    }

    /// <summary>Records that were overwritten before they were read.</summary>
    public ulong Missed { get; private set; }

    /// <summary>Listens to the dataplane of a state directory. Needs the right to write its trace file: root.</summary>
    /// <exception cref="FileNotFoundException">No dataplane ever ran there.</exception>
    /// <exception cref="UnauthorizedAccessException">Not for this user.</exception>
    public static TraceReader Open(string stateDirectory)
    {
        SafeFileHandle handle = File.OpenHandle(
            Path.Combine(FlowDirectory.PathIn(stateDirectory), TraceRing.FileName),
            FileMode.Open,
            FileAccess.ReadWrite,
            FileShare.ReadWrite | FileShare.Delete);
        return new TraceReader(TraceRing.FromDescriptor(handle), TimeProvider.System);
    }

    /// <summary>What has come since the last call, oldest first. Call it at least every second: it also renews the lease.</summary>
    public IReadOnlyList<TraceEvent> Read()
    {
        Renew();
        var events = new List<TraceEvent>();
        for (int worker = 0; worker < _next.Length; worker++)
        {
            Read(worker, events);
        }

        return events.Count == 0 ? events : [.. events.OrderBy(e => e.TimeNs)]; // stable: order within a worker stays
    }

    /// <inheritdoc/>
    public void Dispose() => _ring.Dispose();

    private void Read(int worker, List<TraceEvent> events)
    {
        ulong end = Volatile.Read(ref _ring.Position(worker));
        if (end < _next[worker])
        {
            _next[worker] = 0; // another dataplane began anew with another file's content
        }

        if (end - _next[worker] > TraceRing.RecordsPerWorker)
        {
            Missed += end - _next[worker] - TraceRing.RecordsPerWorker;
            _next[worker] = end - TraceRing.RecordsPerWorker;
        }

        for (; _next[worker] < end; _next[worker]++)
        {
            if (TryCopy(worker, _next[worker], out TraceRecord record))
            {
                events.Add(record.ToEvent(worker));
            }
            else
            {
                Missed++;
            }
        }
    }

    private bool TryCopy(int worker, ulong number, out TraceRecord copy)
    {
        ref TraceRecord record = ref _ring.Record(worker, number);
        ulong complete = (2 * number) + 2;
        bool before = Volatile.Read(ref record.Sequence) == complete; // acquire: the copy is read after it
        copy = record;
        Interlocked.MemoryBarrier(); // and the second look comes after the copy
        return before && Volatile.Read(ref record.Sequence) == complete;
    }

    private void Renew() => _ring.ListenUntil((long)(_time.GetTimestamp() * (1e9 / _time.TimestampFrequency)) + LeaseNs);
}
