using System.Diagnostics;
using System.Globalization;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A writer that is killed at any instruction leaves a map that readers read on and the next writer finds consistent.</summary>
public sealed class MapWriterKilledTests
{
    private const int DefaultRounds = 200; // soak: 5000

    private static int Rounds =>
        int.TryParse(Environment.GetEnvironmentVariable("CLUSTERLB_KILL_ROUNDS"), CultureInfo.InvariantCulture, out int rounds)
            ? rounds
            : DefaultRounds;

    [Fact]
    public void A_writer_killed_at_random_instructions_leaves_a_consistent_map()
    {
        int runSeed = int.TryParse(Environment.GetEnvironmentVariable("CLUSTERLB_KILL_SEED"), CultureInfo.InvariantCulture, out int seed)
            ? seed
            : Environment.TickCount; // where the kills hit, no seed can repeat: others each time find more
        var random = new Random(runSeed);
        using var stage = new MapStage();
        var twin = new Dictionary<ulong, ulong>(); // key to version
        using MapFile progress = MapFile.OpenForWriting(stage.Directory, MapWriterProcess.ProgressSpec, null, out _);
        using (Epochs epochs = MapStage.OpenEpochs(stage.Directory))
        {
            MapStage.OpenMap(stage.Directory, MapReaderProcess.Keys, epochs, out _).Dispose();
        }

        using SecondProcess outside = SecondProcess.Start("map-reader", stage.Directory, "outside", "easy");
        using SecondProcess worker = SecondProcess.Start("map-reader", stage.Directory, "worker", "easy");
        SecondProcess next = SecondProcess.Start("map-writer", stage.Directory);
        ulong operations = 0;
        int duringAdoption = 0;
        for (int round = 1; round <= Rounds; round++)
        {
            using SecondProcess writer = next;
            next = SecondProcess.Start("map-writer", stage.Directory); // starts while this one works and dies
            string because = $"run seed {runSeed}, round {round}";

            // Every eighth round another capacity: then the kill may hit the copying to a new file, too.
            int capacity = MapReaderProcess.Keys * (1 + (round / 8 % 2));
            Volatile.Write(ref progress.Word(MapWriterProcess.DoneWord), 0);
            Volatile.Write(ref progress.Word(MapWriterProcess.AdoptedWord), 0);
            Assert.Equal("ready", writer.ReadLine());
            writer.WriteLine($"{round} {capacity}");
            if (random.Next(4) != 0)
            {
                // Three of four kills come after adoption, the others while it goes on.
                SpinWait.SpinUntil(() => Volatile.Read(ref progress.Word(MapWriterProcess.AdoptedWord)) != 0, TimeSpan.FromSeconds(60));
            }

            long start = Stopwatch.GetTimestamp();
            double delayMs = random.NextDouble() * 4;
            SpinWait.SpinUntil(() => Stopwatch.GetElapsedTime(start).TotalMilliseconds >= delayMs);
            writer.Kill();

            ulong adopted = Volatile.Read(ref progress.Word(MapWriterProcess.AdoptedWord));
            Assert.True(adopted <= 1, $"{because}: the writer dropped {adopted - 1} entries of the one before");
            duringAdoption += adopted == 0 ? 1 : 0;
            ulong done = Volatile.Read(ref progress.Word(MapWriterProcess.DoneWord));
            operations += done;
            AssertHolds(stage, twin, (ulong)round, done, because);
        }

        next.Dispose();
        Assert.Equal(0, Wrong(outside));
        Assert.Equal(0, Wrong(worker));
        using (Epochs epochs = MapStage.OpenEpochs(stage.Directory))
        using (HashMap<ulong, SelfCheckingValue> map = MapStage.OpenMap(stage.Directory, MapReaderProcess.Keys, epochs, out MapFileReport report))
        {
            Assert.Equal(0, report.Dropped);
            Assert.Equal(twin.Count, report.Entries);
            Assert.Equal(MapResult.Ok, map.Update(0, SelfCheckingValue.For(0, ulong.MaxValue)));
        }

        Console.WriteLine($"{Rounds} writers killed ({duringAdoption} before their first operation), {operations} operations");
    }

    /// <summary>The map must be what the finished operations made it, or that and the one that was going on.</summary>
    private static void AssertHolds(MapStage stage, Dictionary<ulong, ulong> twin, ulong seed, ulong done, string because)
    {
        for (ulong i = 0; i < done; i++)
        {
            Perform(twin, MapWriterProcess.Operation.At(seed, i));
        }

        var found = new Dictionary<ulong, ulong>();
        using (HashMap<ulong, SelfCheckingValue> map = HashMap<ulong, SelfCheckingValue>.OpenForReading(stage.Directory, MapStage.MapName))
        {
            foreach ((ulong key, SelfCheckingValue value) in map.Entries())
            {
                Assert.True(value.IsOf(key), $"{because}: the entry of key {key} is torn");
                Assert.True(found.TryAdd(key, value.Version), $"{because}: key {key} is there twice");
                Assert.True(map.TryLookup(key, out SelfCheckingValue again) && again.Version == value.Version, because);
            }
        }

        if (!Same(found, twin))
        {
            Perform(twin, MapWriterProcess.Operation.At(seed, done));
            Assert.True(Same(found, twin), $"{because}: the map is in no state that it should ever be in");
        }
    }

    private static bool Same(Dictionary<ulong, ulong> a, Dictionary<ulong, ulong> b) =>
        a.Count == b.Count && a.All(entry => b.TryGetValue(entry.Key, out ulong version) && version == entry.Value);

    private static void Perform(Dictionary<ulong, ulong> twin, MapWriterProcess.Operation operation)
    {
        if (operation.IsDelete)
        {
            twin.Remove(operation.Key);
        }
        else
        {
            twin[operation.Key] = operation.Version;
        }
    }

    private static long Wrong(SecondProcess reader)
    {
        reader.WriteLine("?");
        return long.Parse(reader.ReadLine().Split(' ')[2], CultureInfo.InvariantCulture);
    }
}
