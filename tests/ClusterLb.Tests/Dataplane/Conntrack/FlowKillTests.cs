using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Tests.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class FlowKillTests
{
    private const int Kills = 25;

    /// <summary>A process that works on the table with two threads is killed at random moments; each time the next one must find
    /// a table in which every flow is whole and every place is accounted for.</summary>
    [Fact]
    public void A_table_whose_process_was_killed_anywhere_is_adopted_whole()
    {
        const int Seed = 90210;
        var random = new Random(Seed);
        string directory = Directory.CreateTempSubdirectory("clb-flows-").FullName;
        try
        {
            for (int kill = 0; kill < Kills; kill++)
            {
                using (SecondProcess writer = SecondProcess.Start("flow-writer", directory, $"{Seed + (2 * kill)}"))
                {
                    Assert.Equal("ready", writer.ReadLine());
                    Thread.SpinWait(random.Next(2_000_000));
                    writer.Kill();
                }

                AssertWhole(directory, $"seed {Seed}, kill {kill}");
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void AssertWhole(string directory, string because)
    {
        foreach (FlowSnapshot flow in FlowTables.Read(directory, nowMs: 0))
        {
            Assert.True(flow.Original.SourcePort == 41000 && flow.Reply.DestinationPort == 41000, because);
        }

        using FlowTables flows = FlowTables.OpenForWriting(directory, FlowWriter.Capacities, _ => { });
        (int kept, _) = flows.Adopt();
        IReadOnlyList<FlowSnapshot> list = flows.List(0);
        Assert.True(list.Count == kept && flows.Count == kept, $"{because}: {list.Count} listed, {kept} kept");
        foreach (FlowSnapshot flow in list)
        {
            Assert.True(flows.TryLookup(flow.Original, 0, out FlowHit forward) && !forward.IsReply
                && forward.Translated == flow.Reply.Reverse, $"{because}: {flow.Original} is not found");
            Assert.True(flows.TryLookup(flow.Reply, 0, out FlowHit reply) && reply.IsReply
                && reply.Translated == flow.Original.Reverse, $"{because}: {flow.Reply} is not found");
        }

        // Nothing has leaked: all places can be used, and again after all flows are gone.
        for (int round = 0; round < 2; round++)
        {
            flows.Flush(FlowFilter.All, 0);
            int created = 0;
            for (uint client = 0; client < FlowWriter.Capacities.Ipv4; client++)
            {
                FlowTuple tuple = FlowTuples.Original(10_000 + client);
                created += flows.TryCreate(FlowTuples.New(tuple, expiresMs: long.MaxValue - 1), 0, out FlowHit hit) == CreateResult.Created ? 1 : 0;
                flows.Record(hit, FlowState.ReplySeen | FlowState.Established, long.MaxValue - 1, 1);
            }

            Assert.True(created == FlowWriter.Capacities.Ipv4, $"{because}: {created} flows fit");
        }

        flows.Flush(FlowFilter.All, 0);
    }
}
