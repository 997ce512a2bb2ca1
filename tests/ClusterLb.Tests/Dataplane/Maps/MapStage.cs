using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>The files of one map with its epoch and workers in a directory of its own, in memory where that can be.</summary>
internal sealed class MapStage : IDisposable
{
    public const string MapName = "test";

    public string Directory { get; } = MemoryFolder.Create("clusterlb-test-");

    public string MapPath => Path.Combine(Directory, MapName);

    /// <summary>Opens epoch and workers as the agent does.</summary>
    public static Epochs OpenEpochs(string directory)
    {
        using MapFile workers = MapFile.OpenForWriting(directory, WorkerSlots.Spec, null, out _);
        MapFile epoch = MapFile.OpenForWriting(directory, Epochs.Spec, null, out _);
        return Epochs.Over(epoch, workers.OpenDescriptor(readOnly: true));
    }

    /// <summary>The workers' side of the same, with the epoch's file to dispose.</summary>
    public static (WorkerSlots Slots, MapFile Epoch) OpenWorkers(string directory)
    {
        MapFile epoch = MapFile.OpenForReading(directory, Epochs.Spec);
        using MapFile workers = MapFile.OpenForWriting(directory, WorkerSlots.Spec, null, out _);
        return (new WorkerSlots(workers.OpenDescriptor(readOnly: false), epoch), epoch);
    }

    public static HashMap<ulong, SelfCheckingValue> OpenMap(string directory, int capacity, Epochs epochs, out MapFileReport report) =>
        HashMap<ulong, SelfCheckingValue>.OpenForWriting(
            directory, HashMap<ulong, SelfCheckingValue>.Spec(MapName, capacity), epochs, out report);

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}
