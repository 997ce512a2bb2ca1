using System.Collections.Concurrent;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class ConntrackConcurrencyTests
{
    private const int Threads = 3;
    private const long Now = 1_000;

    [Fact]
    public void Workers_that_begin_the_same_flow_at_once_make_exactly_one()
    {
        const int Rounds = 5_000;
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 32_768, Ipv6 = 64 });
        var backends = new uint[Threads, Rounds];
        RunRounds(Rounds, (worker, round) =>
        {
            // Each worker chooses another backend; all must end up with the same.
            FlowTuple tuple = FlowTuples.Original(round);
            if (flows.TryCreate(FlowTuples.New(tuple, (uint)worker + 1), Now, out FlowHit hit) == CreateResult.Exists)
            {
                Assert.True(flows.TryLookup(tuple, Now, out hit), $"round {round}: exists, but is not found");
            }

            backends[worker, round] = hit.BackendId;
        });

        Assert.Equal(Rounds, flows.Count);
        for (int round = 0; round < Rounds; round++)
        {
            Assert.True(
                Enumerable.Range(0, Threads).All(worker => backends[worker, round] == backends[0, round]), $"round {round} has two backends");
        }
    }

    [Fact]
    public void Flows_that_clash_in_their_reply_tuple_never_both_exist()
    {
        const int Rounds = 5_000;
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 32_768, Ipv6 = 64 });
        var won = new int[Rounds];
        RunRounds(Rounds, (worker, round) =>
        {
            NewFlow flow = FlowTuples.New(FlowTuples.Original(round));
            flow = flow with { Original = flow.Original with { DestinationPort = (ushort)(80 + worker) } };
            if (flows.TryCreate(flow, Now, out _) == CreateResult.Created)
            {
                Interlocked.Increment(ref won[round]);
            }
        });

        Assert.All(won, count => Assert.Equal(1, count));
        Assert.Equal(Rounds, flows.Count);
    }

    /// <summary>No chance in it: all workers have looked, found nothing and filled a place before the first of them may link it.</summary>
    [Theory]
    [InlineData(0, CreateResult.Exists)] // the same flow
    [InlineData(1, CreateResult.ReplyTaken)] // other frontends, but the same answers
    public async Task Workers_that_all_wait_for_the_locks_of_a_tuple_link_one_flow(int frontendStep, CreateResult others)
    {
        string directory = Directory.CreateTempSubdirectory("clb-flows-").FullName;
        try
        {
            using FlowTables flows = FlowTables.OpenForWriting(directory, new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Workers = 1 }, _ => { });
            var results = new CreateResult[Threads];
            SetLocks(directory, 1UL << 63);
            Task workers = Task.Run(() => Run(worker =>
            {
                NewFlow flow = FlowTuples.New(FlowTuples.Original(1));
                flow = flow with { Original = flow.Original with { DestinationPort = (ushort)(80 + (worker * frontendStep)) }, ServicePortId = (uint)worker + 1 };
                results[worker] = flows.TryCreate(flow, Now, out _);
            }));

            bool allWait = SpinWait.SpinUntil(() => FlowTables.Read(directory, Now).Count() == Threads, TimeSpan.FromSeconds(30));
            SetLocks(directory, 0);
            await workers.WaitAsync(TimeSpan.FromSeconds(30));

            Assert.True(allWait, "not everybody has filled a place");
            int winner = Array.IndexOf(results, CreateResult.Created);
            Assert.All(results.Where((_, worker) => worker != winner), result => Assert.Equal(others, result));
            FlowSnapshot flow = Assert.Single(FlowTables.Read(directory, Now)); // the places of the others are free again
            Assert.Equal((uint)winner + 1, flow.ServicePortId);
            Assert.Equal(1, flows.Count);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Few tuples, few places, all threads create, remove, account and look up: every hit must be a whole flow.</summary>
    [Fact]
    public void Under_churn_no_lookup_ever_sees_half_of_a_flow()
    {
        const int Operations = 200_000;
        const int Clients = 40;
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64 });
        Run(worker =>
        {
            var random = new Random(4711 + worker);
            for (int i = 0; i < Operations; i++)
            {
                uint client = (uint)random.Next(Clients);
                FlowTuple tuple = FlowTuples.Original(client, (ushort)(1000 + client));
                if (flows.TryLookup(tuple, Now, out FlowHit hit))
                {
                    // Backend, frontend id and reply tuple were made from one number.
                    Assert.True(hit.Translated.Source == tuple.Source && hit.Translated.SourcePort == tuple.SourcePort
                        && hit.Translated.Destination == FlowTuples.Address(0x0A01_0000 + hit.BackendId, ipv6: false)
                        && !hit.IsReply, $"worker {worker}, operation {i}: {tuple} became {hit.Translated}");
                    flows.Record(hit, hit.State | FlowState.ReplySeen, 60_000, 1);
                    if (random.Next(4) == 0)
                    {
                        flows.Remove(hit);
                    }
                }
                else
                {
                    flows.TryCreate(FlowTuples.New(tuple, (uint)random.Next(5)), Now, out _);
                }
            }
        });

        foreach (FlowSnapshot flow in flows.List(Now))
        {
            Assert.True(flows.TryLookup(flow.Reply, Now, out FlowHit reply) && reply.Translated == flow.Original.Reverse);
        }

        Assert.Equal(flows.Count, flows.List(Now).Count);
        flows.Flush(FlowFilter.All, Now);
        Assert.Equal(0, flows.Count);
    }

    /// <summary>The lock bit of every bucket of an empty table, as if somebody else had taken it.</summary>
    private static void SetLocks(string directory, ulong word)
    {
        string path = Path.Combine(FlowDirectory.PathIn(directory), FlowTables.FileNames[0]);
        using SafeFileHandle file = File.OpenHandle(path, access: FileAccess.ReadWrite, share: FileShare.ReadWrite);
        MapFileSpec spec = MapFile.ReadSpec(file, path, ConntrackTable<FlowKey4>.SpecOf(FlowTables.FileNames[0], 1));
        for (uint bucket = 0; bucket < spec.Buckets; bucket++)
        {
            RandomAccess.Write(file, BitConverter.GetBytes(word), MapFileSpec.IndexOffset + (bucket * MapFileSpec.BucketSize));
        }
    }

    /// <summary>All workers begin each round together, so that in each of them they want the same flow at once.</summary>
    private static void RunRounds(uint rounds, Action<int, uint> body)
    {
        using var together = new Barrier(Threads);
        Run(worker =>
        {
            try
            {
                for (uint round = 0; round < rounds; round++)
                {
                    together.SignalAndWait();
                    body(worker, round);
                }
            }
            finally
            {
                together.RemoveParticipant(); // the others must not wait for one that failed
            }
        });
    }

    private static void Run(Action<int> body)
    {
        var failures = new ConcurrentQueue<Exception>();
        using var start = new Barrier(Threads);
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(worker => new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                body(worker);
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Empty(failures);
    }
}
