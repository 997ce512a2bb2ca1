using System.Globalization;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.ClusterRun;

/// <summary>Where one run keeps configurations, logs and the agents' state directories: in memory, gone after the run.</summary>
internal sealed class RunFolder : IDisposable
{
    private const string Prefix = "clusterlb-run-";
    private const string OwnerFile = "owner";

    public RunFolder() => File.WriteAllText(System.IO.Path.Combine(Path, OwnerFile), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));

    public string Path { get; } = MemoryFolder.Create(Prefix);

    /// <summary>The state directory of a node's agent.</summary>
    public string StateOf(string node) => StateOf(Path, node);

    /// <summary>
    /// Cleans the nodes of what runs left that were killed: their agents ended with them, but not the dataplanes, which
    /// outlive their agent as they should.
    /// </summary>
    public static void CleanNodes(ClusterSettings settings)
    {
        foreach (string folder in Directory.EnumerateDirectories(MemoryFolder.Root, Prefix + "*"))
        {
            string owner = System.IO.Path.Combine(folder, OwnerFile);
            if (File.Exists(owner) && Directory.Exists($"/proc/{File.ReadAllText(owner)}"))
            {
                continue;
            }

            foreach ((string node, NetworkNamespace ns) in settings.Nodes)
            {
                Clean(settings, ns, StateOf(folder, node));
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Leaves a node as ClusterLb found it.</summary>
    public static void Clean(ClusterSettings settings, NetworkNamespace node, string stateDirectory) =>
        Tool.Run("nsenter", [$"--net={node.Path}", .. settings.Program, "cleanup", "--state-dir", stateDirectory]);

    public void Dispose() => Directory.Delete(Path, recursive: true);

    private static string StateOf(string folder, string node) => System.IO.Path.Combine(folder, "state-" + node);
}
