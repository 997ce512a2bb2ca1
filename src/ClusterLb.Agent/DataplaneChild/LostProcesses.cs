using System.Globalization;
using ClusterLb.Dataplane.Host;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>Processes of ClusterLb in this network namespace whose state directory was removed: found by what they hold open.</summary>
internal static class LostProcesses
{
    private const int PatienceMs = 3000;
    private const string Deleted = " (deleted)";

    /// <summary>The agent that has the lease of this directory open, or had when it was removed; null if there is none.</summary>
    /// <remarks>Compares only the end of the path: the way to the directory may lead over links.</remarks>
    public static int? FindAgent(string stateDirectory)
    {
        string end = $"/{Path.GetFileName(stateDirectory)}/{StateLease.AgentFileName}";
        return Neighbours().Where(pid => Links(pid).Any(link =>
            (link.EndsWith(Deleted, StringComparison.Ordinal) ? link[..^Deleted.Length] : link).EndsWith(end, StringComparison.Ordinal)))
            .Select(pid => (int?)pid).FirstOrDefault();
    }

    /// <summary>Ends the dataplanes that have a queue of the device open.</summary>
    /// <returns>Processes that have one and are not certainly ours, or did not end.</returns>
    public static List<int> EndDataplanes(string device)
    {
        var left = new List<int>();
        foreach (int pid in Neighbours().Where(pid => HasQueue(pid, device)).ToList())
        {
            try
            {
                using SafeFileHandle process = ProcessInterop.OpenPidFd(pid);

                // Looked at again: from here on the number cannot have become another's.
                if (IsDataplane(pid) && HasQueue(pid, device) && End(process))
                {
                    continue;
                }
            }
            catch (IOException) when (!Directory.Exists($"/proc/{pid}"))
            {
                continue; // it has just ended
            }

            left.Add(pid);
        }

        return left;
    }

    private static bool End(SafeFileHandle process)
    {
        ProcessInterop.SendSignal(process, ProcessInterop.SignalTerm);
        if (!ProcessInterop.HasEnded(process, PatienceMs))
        {
            ProcessInterop.SendSignal(process, ProcessInterop.SignalKill);
        }

        return ProcessInterop.HasEnded(process, PatienceMs);
    }

    private static IEnumerable<int> Neighbours()
    {
        string? here = NetworkNamespace(Environment.ProcessId);
        return Directory.EnumerateDirectories("/proc").Select(folder => Path.GetFileName(folder))
            .Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0)
            .Where(pid => pid != 0 && pid != Environment.ProcessId && here is not null && NetworkNamespace(pid) == here);
    }

    private static string? NetworkNamespace(int pid) => Try(() => new FileInfo($"/proc/{pid}/ns/net").LinkTarget, null);

    private static List<string> Links(int pid) =>
        Try(() => new DirectoryInfo($"/proc/{pid}/fd").EnumerateFileSystemInfos().Select(file => file.LinkTarget ?? "").ToList(), []);

    private static bool IsDataplane(int pid)
    {
        // "/usr/bin/clusterlb dataplane --control-fd …", or "dotnet …/clusterlb.dll dataplane --control-fd …": the program may have any name.
        string[] words = Try(() => File.ReadAllText($"/proc/{pid}/cmdline").Split('\0'), []);
        int verb = Math.Max(Array.IndexOf(words, DataplaneProcess.Verb), Array.IndexOf(words, DataplaneProcess.SuccessorVerb));
        return verb > 0 && words.ElementAtOrDefault(verb + 1) == DataplaneProcess.ControlOption;
    }

    // proc(5), /proc/PID/fdinfo: descriptors of /dev/net/tun name their interface.
    private static bool HasQueue(int pid, string device) => Try(
        () => Directory.EnumerateFiles($"/proc/{pid}/fdinfo").Any(file =>
            Try(() => File.ReadLines(file).Any(line => line == $"iff:\t{device}"), false)),
        false);

    private static T Try<T>(Func<T> look, T otherwise)
    {
        try
        {
            return look();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return otherwise; // it has just ended, or is not ours to look into
        }
    }
}
