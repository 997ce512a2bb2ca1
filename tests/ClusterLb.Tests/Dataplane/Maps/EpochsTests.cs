using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>When a place may be reused.</summary>
public sealed class EpochsTests : IDisposable
{
    private readonly MapStage _stage = new();
    private readonly Epochs _epochs;
    private readonly WorkerSlots _workers;
    private readonly MapFile _epochOfWorkers;
    private readonly PlacePool _pool;

    public EpochsTests()
    {
        _epochs = MapStage.OpenEpochs(_stage.Directory);
        (_workers, _epochOfWorkers) = MapStage.OpenWorkers(_stage.Directory);
        _pool = new PlacePool(fresh: 4, places: 4, _epochs);
        _pool.Free(1);
    }

    public void Dispose()
    {
        _workers.Dispose();
        _epochOfWorkers.Dispose();
        _epochs.Dispose();
        _stage.Dispose();
    }

    [Fact]
    public void A_place_is_not_reused_while_a_worker_that_was_online_may_hold_it()
    {
        _workers.GoOnline(0);
        _pool.Retire(_pool.Take());

        Assert.Equal(0u, _pool.Take());
        _workers.GoOnline(0); // the next batch: nothing of the one before is held
        Assert.Equal(1u, _pool.Take());
    }

    [Fact]
    public void A_worker_that_went_offline_holds_nothing_back()
    {
        _workers.GoOnline(0);
        _pool.Retire(_pool.Take());
        _workers.GoOffline(0);

        Assert.Equal(1u, _pool.Take());
    }

    [Fact]
    public void The_slowest_worker_decides()
    {
        _workers.GoOnline(0);
        _workers.GoOnline(WorkerSlots.MaxWorkers - 1);
        _pool.Retire(_pool.Take());
        Assert.Equal(0u, _pool.Take());
        _workers.GoOnline(0);
        Assert.Equal(0u, _pool.Take());
        _workers.GoOffline(WorkerSlots.MaxWorkers - 1);
        Assert.Equal(1u, _pool.Take());
    }

    [Fact]
    public void A_worker_that_comes_online_after_the_removal_holds_nothing_back()
    {
        _pool.Retire(_pool.Take());
        _pool.Reclaim();
        _workers.GoOnline(0);
        _pool.Retire(_pool.Take()); // free again: nobody was online

        Assert.Equal(0u, _pool.Take()); // this one it may hold
    }

    [Fact]
    public void A_dead_dataplane_holds_back_only_until_the_next_one_takes_over()
    {
        _workers.GoOnline(3);
        _pool.Retire(_pool.Take());
        (WorkerSlots next, MapFile epoch) = MapStage.OpenWorkers(_stage.Directory); // the old one was killed: it says nothing more
        using (epoch)
        using (next)
        {
            Assert.Equal(_workers.Incarnation + 1, next.Incarnation);
            Assert.Equal(0u, _pool.Take());
            next.TakeOver();
            Assert.Equal(1u, _pool.Take());
        }
    }

    [Fact]
    public void A_dead_dataplane_that_nobody_follows_holds_nothing_back_once_it_is_forgotten_and_the_next_one_counts()
    {
        _workers.GoOnline(3);
        _pool.Retire(_pool.Take());
        Assert.Equal(0u, _pool.Take());

        _epochs.ForgetWorkers();

        uint place = _pool.Take();
        Assert.Equal(1u, place);
        (WorkerSlots next, MapFile epoch) = MapStage.OpenWorkers(_stage.Directory);
        using (epoch)
        using (next)
        {
            next.GoOnline(3);
            _pool.Retire(place);
            Assert.Equal(0u, _pool.Take());
        }
    }

    [Fact]
    public void Two_dataplanes_that_live_at_once_both_hold_back()
    {
        (WorkerSlots next, MapFile epoch) = MapStage.OpenWorkers(_stage.Directory);
        using (epoch)
        using (next)
        {
            _workers.GoOnline(0);
            next.GoOnline(0);
            _pool.Retire(_pool.Take());
            next.GoOffline(0);
            Assert.Equal(0u, _pool.Take());
            _workers.GoOffline(0);
            Assert.Equal(1u, _pool.Take());
        }
    }

    [Fact]
    public void A_workers_file_that_was_truncated_frees_nothing_and_does_no_harm()
    {
        _workers.GoOffline(0);
        _pool.Retire(_pool.Take());
        using (SafeFileHandle file = File.OpenHandle(
            Path.Combine(_stage.Directory, WorkerSlots.FileName), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            long length = RandomAccess.GetLength(file);
            RandomAccess.SetLength(file, 100);
            Assert.Equal(0u, _pool.Take());
            Assert.Empty(_epochs.Heartbeats());
            RandomAccess.SetLength(file, length); // or our own mapping would be SIGBUS
        }
    }

    [Fact]
    public void A_new_epoch_file_begins_later_than_any_epoch_of_the_old_one()
    {
        ulong last = 0;
        for (int i = 0; i < 10_000; i++)
        {
            last = _epochs.AdvanceAndFindOldest();
        }

        File.Delete(Path.Combine(_stage.Directory, Epochs.FileName));
        using Epochs again = MapStage.OpenEpochs(_stage.Directory);
        Assert.True(again.Current > last);
    }

    [Fact]
    public void Heartbeats_tell_worker_incarnation_and_time()
    {
        _workers.GoOnline(2);
        _workers.Beat(2, 1_234);
        Assert.Equal([new WorkerHeartbeat(_workers.Incarnation, 2, 1_234, true)], _epochs.Heartbeats());
    }

    [Fact]
    public void A_place_that_the_previous_writer_may_have_removed_is_not_free_for_the_next_writer_at_once()
    {
        const int capacity = 16;
        using (HashMap<ulong, SelfCheckingValue> first = MapStage.OpenMap(_stage.Directory, capacity, _epochs, out _))
        {
            first.Update(1, SelfCheckingValue.For(1, 1));
            _workers.GoOnline(0);
            first.Delete(1); // and is killed: nobody knows that the place is retired
        }

        using HashMap<ulong, SelfCheckingValue> map = MapStage.OpenMap(_stage.Directory, capacity, _epochs, out _);
        uint generation = GenerationOfPlaceOne();
        for (ulong i = 0; i < 1_000; i++)
        {
            map.Update(i % 8, SelfCheckingValue.For(i % 8, i)); // every place there is, over and over
        }

        Assert.Equal(generation, GenerationOfPlaceOne());
        _workers.GoOffline(0);
        for (ulong i = 0; i < 1_000; i++)
        {
            map.Update(i % 8, SelfCheckingValue.For(i % 8, i + 1));
        }

        Assert.NotEqual(generation, GenerationOfPlaceOne());

        uint GenerationOfPlaceOne()
        {
            using MapFile file = MapFile.OpenForReading(_stage.Directory, HashMap<ulong, SelfCheckingValue>.Spec(MapStage.MapName, 1));
            return System.Runtime.CompilerServices.Unsafe.As<byte, uint>(ref file.At(file.Spec.PlacesOffset + file.Spec.PlaceSize));
        }
    }
}
