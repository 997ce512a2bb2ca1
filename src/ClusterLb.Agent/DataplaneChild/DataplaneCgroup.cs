using System.Globalization;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>Moves the dataplane out of the container's control groups: what ends the container then spares it (docs/design/outliving-the-pod.md).</summary>
/// <param name="root">The node's /sys/fs/cgroup as it is mounted in the container; empty: the dataplane stays where the agent is.</param>
public sealed class DataplaneCgroup(string root)
{
    /// <summary>The group, below the root (cgroup v2) or below each hierarchy in it (v1).</summary>
    public const string Name = "clusterlb";

    private const int RemovalMs = 1_000;
    private const int RemovalIntervalMs = 20;

    private const string Processes = "cgroup.procs";

    // A cpuset of v1 takes no process before it has both.
    private static readonly string[] CpusetFiles = ["cpuset.cpus", "cpuset.mems"];

    /// <summary>Moves a process, and with it all that it will start.</summary>
    /// <returns>Why it ends with the container all the same; empty if it does not.</returns>
    public string Admit(int pid)
    {
        if (root.Length == 0)
        {
            return Environment.ProcessId == 1 ? "dataplane.cgroupRoot is not set" : "";
        }

        string[] hierarchies = Roots();
        if (hierarchies.Length == 0)
        {
            return $"there are no control groups below '{root}' (dataplane.cgroupRoot): mount the node's /sys/fs/cgroup there";
        }

        var problems = new List<string>();
        foreach (string hierarchy in hierarchies)
        {
            try
            {
                Move(hierarchy, pid);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                problems.Add($"it cannot be moved to '{Path.Combine(hierarchy, Name)}': {e.Message}");
            }
        }

        if (Environment.ProcessId == 1)
        {
            problems.Add("this container has process ids of its own, and all of them end with it: set hostPID");
        }

        return string.Join("; ", problems);
    }

    /// <summary>Removes the groups, unless somebody else's dataplane is in them.</summary>
    public void Remove()
    {
        string[] groups = [.. Roots().Select(hierarchy => Path.Combine(hierarchy, Name))];

        // A process that was killed a moment ago is in its groups until its memory is given back.
        for (long begun = Environment.TickCount64; !groups.All(TryRemove) && Environment.TickCount64 - begun < RemovalMs;)
        {
            Thread.Sleep(RemovalIntervalMs);
        }
    }

    private static bool TryRemove(string group)
    {
        try
        {
            Directory.Delete(group);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static void Move(string hierarchy, int pid)
    {
        string group = Path.Combine(hierarchy, Name);
        Directory.CreateDirectory(group);
        foreach (string file in CpusetFiles.Where(file => IsBlank(Path.Combine(group, file))))
        {
            File.WriteAllText(Path.Combine(group, file), File.ReadAllText(Path.Combine(hierarchy, file))); // none may enter before
        }

        File.WriteAllText(Path.Combine(group, Processes), pid.ToString(CultureInfo.InvariantCulture));
    }

    private static bool IsBlank(string file) => File.Exists(file) && string.IsNullOrWhiteSpace(File.ReadAllText(file));

    // "cpu" and "cpuacct" are links where both are one hierarchy.
    private string[] Roots() => File.Exists(Path.Combine(root, Processes)) ? [root] : Directory.Exists(root)
        ? [.. Directory.GetDirectories(root).Where(folder => File.Exists(Path.Combine(folder, Processes)) && new FileInfo(folder).LinkTarget is null)]
        : [];
}
