using System.Globalization;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A writer in a process of its own, to be killed: performs a sequence of operations that follows from a seed.</summary>
internal static class MapWriterProcess
{
    /// <summary>Operations done so far in this life, and what adoption dropped: words of the file "progress".</summary>
    public const int DoneWord = 0;

    /// <summary>Entries that adoption dropped, plus one: 0 while the map is not open yet.</summary>
    public const int AdoptedWord = 1;

    public static MapFileSpec ProgressSpec => new() { Name = "progress", Capacity = 1, Places = 1, PlaceSize = 64 };

    public static int Run(string directory)
    {
        using MapFile progress = MapFile.OpenForWriting(directory, ProgressSpec, null, out _);
        WarmUp();
        Console.WriteLine("ready");
        while (Console.ReadLine() is { } line)
        {
            string[] words = line.Split(' ');
            ulong seed = ulong.Parse(words[0], CultureInfo.InvariantCulture);
            int capacity = int.Parse(words[1], CultureInfo.InvariantCulture);
            using Epochs epochs = MapStage.OpenEpochs(directory);
            using HashMap<ulong, SelfCheckingValue> map = MapStage.OpenMap(directory, capacity, epochs, out MapFileReport report);
            Volatile.Write(ref progress.Word(AdoptedWord), (ulong)report.Dropped + 1);
            for (ulong i = 0; ; i++)
            {
                Perform(map, Operation.At(seed, i));
                Volatile.Write(ref progress.Word(DoneWord), i + 1);
            }
        }

        return 0;
    }

    private static void Perform(HashMap<ulong, SelfCheckingValue> map, Operation operation)
    {
        if (operation.IsDelete)
        {
            map.Delete(operation.Key);
            return;
        }

        while (map.Update(operation.Key, SelfCheckingValue.For(operation.Key, operation.Version)) == MapResult.Full)
        {
            map.Reclaim(); // a worker holds the last places for a moment
        }
    }

    /// <summary>The code is compiled before the clock of the killer runs: so that most kills hit operations, not the compiler.</summary>
    private static void WarmUp()
    {
        using var map = HashMap<ulong, SelfCheckingValue>.CreateAnonymous("warm", MapReaderProcess.Keys);
        for (ulong i = 0; i < 2_000; i++)
        {
            Perform(map, Operation.At(0, i));
        }
    }

    /// <summary>One step of a writer; the test performs the same on a dictionary.</summary>
    public readonly record struct Operation(ulong Key, bool IsDelete, ulong Version)
    {
        public static Operation At(ulong seed, ulong index)
        {
            ulong random = SelfCheckingValue.Mix(seed, index, 77);
            return new Operation(random % MapReaderProcess.Keys, (random >> 32) % 4 == 0, (seed << 32) + index + 1);
        }
    }
}
