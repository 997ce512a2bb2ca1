using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>Readers in other processes, while a writer changes everything all the time.</summary>
public sealed class MapReadersTests
{
    private const long LookupsPerReader = 4_000_000;

    [Fact]
    public void Readers_in_other_processes_never_see_a_torn_half_written_or_recycled_entry()
    {
        using var stage = new MapStage();
        using Epochs epochs = MapStage.OpenEpochs(stage.Directory);
        using HashMap<ulong, SelfCheckingValue> map = MapStage.OpenMap(stage.Directory, MapReaderProcess.Keys, epochs, out _);
        using SecondProcess outside = SecondProcess.Start("map-reader", stage.Directory, "outside", "busy");
        using SecondProcess worker = SecondProcess.Start("map-reader", stage.Directory, "worker", "busy");

        var random = new Random(11);
        ulong version = 0;
        long[] outsideTally = [0, 0, 0];
        long[] workerTally = [0, 0, 0];
        while (outsideTally[0] < LookupsPerReader || workerTally[0] < LookupsPerReader)
        {
            for (int i = 0; i < 20_000; i++)
            {
                ulong key = (ulong)random.Next(MapReaderProcess.Keys);
                if (random.Next(4) == 0)
                {
                    map.Delete(key);
                }
                else
                {
                    map.Update(key, SelfCheckingValue.For(key, ++version)); // Full while the worker is slow: as good as not done
                }
            }

            outsideTally = Ask(outside);
            workerTally = Ask(worker);
        }

        Assert.True(outsideTally[1] > LookupsPerReader / 4, "few hits: the test proves little");
        Assert.True(workerTally[1] > LookupsPerReader / 4, "few hits: the test proves little");
        Assert.Equal(0, outsideTally[2]);
        Assert.Equal(0, workerTally[2]);
    }

    private static long[] Ask(SecondProcess reader)
    {
        reader.WriteLine("?");
        return reader.ReadLine().Split(' ').Select(long.Parse).ToArray();
    }
}
