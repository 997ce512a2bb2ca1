using ClusterLb.Agent;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent;

public sealed class StateDirectoryTests
{
    [Fact]
    public void Removal_takes_every_map_and_leaves_what_is_not_ours()
    {
        string path = Directory.CreateTempSubdirectory("clb-state-").FullName;
        try
        {
            SharedLbMaps.OpenForWriting(path, LbMapCapacities.Small, _ => { }).Dispose();
            string stranger = Path.Combine(path, "maps", "mine.txt");
            File.WriteAllText(stranger, "");
            File.WriteAllText(Path.Combine(path, "maps", "node.bad-1"), "");
            File.WriteAllText(Path.Combine(path, "flows", "trace.new"), "");

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
