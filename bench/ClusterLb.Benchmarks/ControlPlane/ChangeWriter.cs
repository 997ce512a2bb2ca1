using System.Diagnostics;
using System.Globalization;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Benchmarks.ControlPlane;

/// <summary>A process like the agent: fills maps, then changes one endpoint after the other, as often as it is told to.</summary>
internal static class ChangeWriter
{
    public const int Services = 10_000;

    private const int Backends = 5;

    /// <summary>Changes a second, by lines of standard input, until it ends; each is answered by a line once it holds.</summary>
    /// <param name="directory">Of the maps.</param>
    public static int Run(string directory)
    {
        using SharedLbMaps maps = SharedLbMaps.OpenForWriting(directory, SyntheticCluster.Capacities, Console.Error.WriteLine);
        var store = new ClusterStateStore("node-a");
        SyntheticCluster.Fill(store, Services, Backends);
        using var loop = new ReconcileLoop(store, maps);
        loop.Completed += _ => maps.Reclaim();
        loop.SyncNow();

        int rate = 0;
        long done = 0;
        var changing = new Thread(() =>
        {
            long begun = Stopwatch.GetTimestamp();
            for (long i = 0; ; i++)
            {
                int now = Volatile.Read(ref rate);
                if (now == 0)
                {
                    (begun, i) = (Stopwatch.GetTimestamp(), -1);
                    Thread.Sleep(1);
                    continue;
                }

                while (Stopwatch.GetElapsedTime(begun).TotalSeconds * now < i)
                {
                    Thread.Sleep(1);
                }

                store.Put(SyntheticCluster.SliceOf((int)(i * 7_919 % Services), Backends + (int)(i / Services % 2)));
                loop.SyncNow();
                Interlocked.Increment(ref done);
            }
        })
        { IsBackground = true };
        changing.Start();

        while (Console.ReadLine() is { } line)
        {
            Volatile.Write(ref rate, int.Parse(line, CultureInfo.InvariantCulture));
            Console.WriteLine(Interlocked.Exchange(ref done, 0).ToString(CultureInfo.InvariantCulture));
        }

        return 0;
    }
}
