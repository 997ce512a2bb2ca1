using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Tun;

/// <summary>Workers on an in-memory device with the real pipeline; a test drives them on its own thread.</summary>
internal sealed class WorkerFixture : IDisposable
{
    private readonly MapFile _epoch = MapFile.CreateAnonymous(Epochs.Spec);
    private readonly MapFile _slots = MapFile.CreateAnonymous(WorkerSlots.Spec);
    private readonly byte[] _room = new byte[VnetHeader.Length + PacketBatch.MaxPacketLength];

    public WorkerFixture(int queues = 1)
    {
        Device = new InMemoryTunDevice(queues);
        Slots = new WorkerSlots(_slots.OpenDescriptor(readOnly: false), _epoch);
        Trace = TraceRing.CreateInMemory(queues);
        Batches = PacketBatches.CreateInMemory(queues);
        Workers = [.. Enumerable.Range(0, queues).Select(CreateWorker)];
    }

    public PipelineFixture Lb { get; } = new();

    public InMemoryTunDevice Device { get; }

    public WorkerSlots Slots { get; }

    public TraceRing Trace { get; }

    public PacketBatches Batches { get; }

    public TunWorker[] Workers { get; }

    public List<PipelineCounters> Counters { get; } = [];

    public IReadOnlyList<WorkerHeartbeat> Heartbeats => WorkerSlots.Heartbeats(_slots.Handle);

    public ulong OldestEpoch => WorkerSlots.OldestEpoch(_slots.Handle);

    /// <summary>Lets a packet arrive, with an optional vnet header.</summary>
    public void Inject(byte[] packet, int queue = 0, byte[]? header = null) =>
        Assert.True(Device.TryInject(queue, [.. header ?? new byte[VnetHeader.Length], .. packet]));

    /// <summary>The next frame that was sent to the queue; null if there is none.</summary>
    public byte[]? Sent(int queue = 0)
    {
        int length = Device.TakeSent(queue, _room);
        return length == 0 ? null : _room[..length];
    }

    public void Dispose()
    {
        Trace.Dispose();
        Batches.Dispose();
        Slots.Dispose();
        Device.Dispose();
        Lb.Dispose();
        _slots.Dispose();
        _epoch.Dispose();
    }

    private TunWorker CreateWorker(int number)
    {
        var counters = PipelineCounters.CreateInMemory();
        Counters.Add(counters);
        var pipeline = new PacketPipeline(Lb.Maps, Lb.Flows, counters, Lb.Random);
        return new TunWorker(number, Device, pipeline, counters, Lb.Flows, Lb.Orphans, Slots, Trace, TimeProvider.System, Batches.Of(number));
    }
}
