using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A reader in a process of its own: looks at random keys for ever and judges every entry that it gets.</summary>
/// <remarks>Kind "outside" checks generations; kind "worker" is a dataplane worker, protected by epochs and nothing else. For every
/// line on standard input it answers one line: lookups, hits, and entries that were torn, recycled or older than one seen before.</remarks>
internal static class MapReaderProcess
{
    public const int Keys = 512;
    private const int BatchSize = 64;

    public static int Run(string directory, string kind, string pace)
    {
        using var stop = new CancellationTokenSource();
        var tally = new Tally();
        var reader = new Thread(() => Read(directory, kind == "worker", pace == "easy", tally, stop.Token));
        reader.Start();
        while (Console.ReadLine() is not null)
        {
            Console.WriteLine($"{Volatile.Read(ref tally.Lookups)} {Volatile.Read(ref tally.Hits)} {Volatile.Read(ref tally.Wrong)}");
        }

        stop.Cancel();
        reader.Join();
        return 0;
    }

    private static void Read(string directory, bool isWorker, bool isEasy, Tally tally, CancellationToken stop)
    {
        // A reader outside is no worker: were it to take over, the slots of the worker beside it would count no more.
        (WorkerSlots Slots, MapFile Epoch)? worker = isWorker ? MapStage.OpenWorkers(directory) : null;
        worker?.Slots.TakeOver();
        ulong[] newest = new ulong[Keys];
        ulong step = 0;
        while (!stop.IsCancellationRequested)
        {
            using HashMap<ulong, SelfCheckingValue> map = Open(directory, isWorker);
            while (!stop.IsCancellationRequested && !map.File.IsRetired)
            {
                worker?.Slots.GoOnline(0);
                for (int i = 0; i < BatchSize; i++)
                {
                    ulong key = SelfCheckingValue.Mix(step++, 0, 1) % Keys;
                    if (map.TryLookup(key, out SelfCheckingValue value))
                    {
                        tally.Hits++;
                        bool isRight = value.IsOf(key) && value.Version >= newest[key];
                        tally.Wrong += isRight ? 0 : 1;
                        newest[key] = Math.Max(newest[key], value.Version);
                    }
                }

                if (step % 1_024 == 0)
                {
                    worker?.Slots.GoOffline(0);
                    if (isEasy)
                    {
                        Thread.Sleep(1); // leaves the processor to those who start and die
                    }
                }

                Volatile.Write(ref tally.Lookups, tally.Lookups + BatchSize);
            }
        }

        worker?.Slots.Dispose();
        worker?.Epoch.Dispose();
    }

    private static HashMap<ulong, SelfCheckingValue> Open(string directory, bool isWorker) => isWorker
        ? HashMap<ulong, SelfCheckingValue>.FromDescriptor(
            File.OpenHandle(Path.Combine(directory, MapStage.MapName), share: FileShare.ReadWrite), MapStage.MapName)
        : HashMap<ulong, SelfCheckingValue>.OpenForReading(directory, MapStage.MapName);

    private sealed class Tally
    {
        public long Lookups;
        public long Hits;
        public long Wrong;
    }
}
