using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Testing;

namespace ClusterLb.Tests.ControlPlane;

/// <summary>Manifests in, maps out: one folder per rule. With UPDATE_SCENARIOS=1 maps.txt is written anew, to be reviewed.</summary>
public sealed class ScenarioTests
{
    private static readonly string Root = Path.Combine(RepositoryRoot(), "tests/ClusterLb.Tests/Scenarios");

    public static TheoryData<string> Scenarios => new(Directory.GetDirectories(Root).Select(d => Path.GetFileName(d)!).Order());

    [Theory, MemberData(nameof(Scenarios))]
    public void Compiles_to_the_expected_maps(string scenario)
    {
        var store = new ClusterStateStore("node-a");
        store.SetNetwork(new NetworkInputs
        {
            ServiceRanges = [IpPrefix.Parse("10.96.0.0/16"), IpPrefix.Parse("fd00:96::/112")],
            PodRanges = [IpPrefix.Parse("10.244.0.0/16"), IpPrefix.Parse("fd00:244::/56")],
            NodeAddresses = [IpAddr.Parse("192.168.0.2"), IpAddr.Parse("fd00:1::2")],
        });
        new ManifestDirectory(Path.Combine(Root, scenario)).Scan(store);
        using var maps = new DictionaryLbMaps();
        using var loop = new ReconcileLoop(store, maps);
        loop.SyncNow();

        // Problems belong to the outcome; the paths in them do not.
        string problems = string.Concat(store.Problems.Select(p => "  " + p.ToString().Replace(Path.Combine(Root, scenario) + "/", "") + "\n"));
        string got = MapDump.Of(maps) + (problems.Length > 0 ? "problems\n" + problems : "");
        string expected = Path.Combine(Root, scenario, "maps.txt");
        if (Environment.GetEnvironmentVariable("UPDATE_SCENARIOS") == "1")
        {
            File.WriteAllText(expected, got);
        }

        Assert.Equal(File.ReadAllText(expected), got);
    }

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "ClusterLb.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException($"No ClusterLb.sln above {AppContext.BaseDirectory}.");
    }
}
