using System.Diagnostics;
using System.Globalization;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>What a container is to those who end it: a control group, all of whose processes are killed together.</summary>
internal sealed class Container : IDisposable
{
    /// <summary>Where the hierarchies are; one of them, or each of them.</summary>
    public const string Root = "/sys/fs/cgroup";

    private readonly string[] _groups;

    public Container(string name)
    {
        _groups = [.. Hierarchies().Select(hierarchy => Path.Combine(hierarchy, name))];
        foreach (string group in _groups)
        {
            Directory.CreateDirectory(group);
            foreach (string file in (string[])["cpuset.cpus", "cpuset.mems"])
            {
                if (File.Exists(Path.Combine(group, file)) && File.Exists(Path.Combine(group, "..", file)))
                {
                    File.WriteAllText(Path.Combine(group, file), File.ReadAllText(Path.Combine(group, "..", file)));
                }
            }
        }
    }

    /// <summary>Why there can be none here; null if there can.</summary>
    public static string? Reason { get; } = LabNeeds() ?? WhyNot();

    public int[] Processes => [.. _groups.SelectMany(group => File.ReadAllLines(Path.Combine(group, "cgroup.procs")))
        .Select(line => int.Parse(line, CultureInfo.InvariantCulture)).Distinct()];

    public void Take(int process)
    {
        foreach (string group in _groups)
        {
            File.WriteAllText(Path.Combine(group, "cgroup.procs"), process.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>As kubelet and runtime do: everything in the group, at once, until nothing is left.</summary>
    public void Kill()
    {
        long begun = Stopwatch.GetTimestamp();
        while (Processes is { Length: > 0 } processes)
        {
            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(15), "the container's processes do not end");
            foreach (int process in processes)
            {
                _ = LabInterop.Signal(process, LabInterop.SigKill); // ESRCH: it has just ended
            }

            Thread.Sleep(1);
        }
    }

    public void Dispose()
    {
        Kill();
        foreach (string group in _groups)
        {
            Directory.Delete(group);
        }
    }

    private static string[] Hierarchies() => File.Exists(Path.Combine(Root, "cgroup.procs"))
        ? [Root]
        : [.. Directory.GetDirectories(Root).Where(folder => File.Exists(Path.Combine(folder, "cgroup.procs")) && new FileInfo(folder).LinkTarget is null)];

    private static string? LabNeeds() => new Stage.LabFactAttribute().Skip;

    private static string? WhyNot()
    {
        try
        {
            using var probe = new Container($"clusterlb-probe-{Environment.ProcessId}");
            return probe._groups.Length > 0 ? null : $"there are no control groups below {Root}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"control groups cannot be made here: {e.Message}";
        }
    }
}
