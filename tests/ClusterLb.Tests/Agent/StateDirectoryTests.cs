using ClusterLb.Agent;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Tests.Agent;

public sealed class StateDirectoryTests
{
    [Fact]
    public void Removal_takes_every_map_and_flow_table_and_leaves_what_is_not_ours()
    {
        string path = Directory.CreateTempSubdirectory("clb-state-").FullName;
        try
        {
            SharedLbMaps.OpenForWriting(path, LbMapCapacities.Small, _ => { }).Dispose();
            FlowTables.OpenForWriting(path, new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Workers = 1 }, _ => { }).Dispose();
            TraceRing.OpenForWriting(path, workers: 1).Dispose();
            PacketBatches.OpenForWriting(path, 1).Dispose();
            string maps = Path.Combine(path, SharedLbMaps.DirectoryName);
            string stranger = Path.Combine(maps, "mine.txt");
            File.WriteAllText(stranger, "");
            File.WriteAllText(Path.Combine(maps, "node.bad-1"), "");
            File.WriteAllText(Path.Combine(FlowDirectory.PathIn(path), "trace.new"), "");

            Assert.False(StateDirectory.Remove(path));
            Assert.Equal([stranger], Directory.GetFiles(path, "*", SearchOption.AllDirectories));

            File.Delete(stranger);
            Assert.True(StateDirectory.Remove(path));
            Assert.False(Directory.Exists(path));
        }
        finally
        {
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
        }
    }
}
