using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Dataplane.Conntrack;

/// <summary>A process that creates and removes flows as fast as it can, from two threads, until it is killed.</summary>
internal static class FlowWriter
{
    /// <summary>Few clients and few buckets, so that the threads meet all the time.</summary>
    public const uint Clients = 200;

    public static readonly FlowCapacities Capacities = new() { Ipv4 = 256, Ipv6 = 64, Workers = 2 };

    public static int Run(string stateDirectory, int seed)
    {
        using FlowTables flows = FlowTables.OpenForWriting(stateDirectory, Capacities, Console.Error.WriteLine);
        flows.Adopt();
        var threads = Enumerable.Range(0, 2).Select(i => new Thread(() => Churn(flows, seed + i))).ToArray();
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        Console.WriteLine("ready");
        Array.ForEach(threads, thread => thread.Join());
        return 0;
    }

    private static void Churn(FlowTables flows, int seed)
    {
        var random = new Random(seed);
        for (long nowMs = 1; ; nowMs++)
        {
            FlowTuple tuple = FlowTuples.Original((uint)random.Next((int)Clients));
            if (flows.TryLookup(tuple, nowMs, out FlowHit hit))
            {
                flows.Record(hit, FlowState.ReplySeen, long.MaxValue - 1, 100);
                flows.Remove(hit);
            }
            else
            {
                flows.TryCreate(FlowTuples.New(tuple, (uint)random.Next(3), long.MaxValue - 1), nowMs, out _);
            }
        }
    }
}
