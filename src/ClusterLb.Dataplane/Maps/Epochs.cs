using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>When a place may be reused: after every worker that could hold it has looked at the epoch again, or gone offline.</summary>
/// <remarks>
/// The writer's half; <see cref="WorkerSlots"/> is the workers'. The writer removes a word, notes the epoch, later advances the
/// epoch and looks at the workers. A worker that publishes an epoch after that advance began reading after the removal. A worker
/// seen offline publishes, with a full barrier, before it reads anything: so it, too, finds the word gone. Quiescent-state-based
/// reclamation, as in liburcu.
/// </remarks>
public sealed class Epochs : IDisposable
{
    /// <summary>Name of the file that the writer owns: one word, the epoch.</summary>
    public const string FileName = "epoch";

    private readonly MapFile? _file;
    private readonly SafeFileHandle? _workers;
    private ulong _dead; // incarnations up to this one

    private Epochs(MapFile? file, SafeFileHandle? workers)
    {
        _file = file;
        _workers = workers;
    }

    /// <summary>No workers: places are reused at once. For maps that only their writer's thread reads, and for outside readers.</summary>
    public static Epochs None { get; } = new(null, null);

    /// <summary>The epoch's file, a header and nothing else of interest.</summary>
    internal static MapFileSpec Spec => new() { Name = FileName, Capacity = 1, Places = 1, PlaceSize = 64, ValueSize = 8 };

    /// <summary>False if there is nobody to wait for.</summary>
    public bool HasWorkers => _workers is not null;

    /// <summary>The current epoch, from 1.</summary>
    public ulong Current => _file is null ? 0 : Volatile.Read(ref _file.Word(0));

    /// <summary>The file, to hand to the dataplane; null without workers.</summary>
    internal MapFile? File => _file;

    /// <summary>Epochs in <paramref name="file"/>, for the workers in <paramref name="workers"/>; owns both.</summary>
    /// <param name="file">Made from <see cref="Spec"/>, writable.</param>
    /// <param name="workers">The workers' file, read by pread only: its owner has no rights and is not trusted with a mapping of ours.</param>
    internal static Epochs Over(MapFile file, SafeFileHandle workers)
    {
        // A new file starts with the clock, which ran faster than any epoch did: no worker can have published a later one.
        ref ulong epoch = ref file.Word(0);
        if (epoch == 0)
        {
            Volatile.Write(ref epoch, 1 + (ulong)TimeProvider.System.GetTimestamp());
        }

        return new Epochs(file, workers);
    }

    /// <summary>Begins a new epoch and tells the oldest that a worker may be in: what was retired before it can be reused.</summary>
    public ulong AdvanceAndFindOldest()
    {
        if (_file is null)
        {
            return ulong.MaxValue;
        }

        // The increment is a full barrier. It orders the removal of words before the look at the workers: without it we could see
        // a worker offline, and the worker, coming online, still see the word.
        ulong epoch = Interlocked.Increment(ref _file.Word(0));
        return Math.Min(epoch, WorkerSlots.OldestEpoch(_workers!, Volatile.Read(ref _dead)));
    }

    /// <summary>Says that no dataplane lives: what those before held is held no more. Only who holds their lease may call it.</summary>
    public void ForgetWorkers()
    {
        if (_workers is not null)
        {
            Volatile.Write(ref _dead, WorkerSlots.NewestIncarnation(_workers));
        }
    }

    /// <summary>When each worker last said that it lives.</summary>
    public IReadOnlyList<WorkerHeartbeat> Heartbeats() => _workers is null ? [] : WorkerSlots.Heartbeats(_workers);

    /// <inheritdoc/>
    public void Dispose()
    {
        _file?.Dispose();
        _workers?.Dispose();
    }
}
