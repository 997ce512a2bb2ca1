using System.Diagnostics;
using System.Globalization;

namespace ClusterLb.Lab.Stage;

/// <summary>Finds and ends the processes that live in a lab's namespaces: agents, dataplanes, echo servers, shells.</summary>
/// <remarks>Whatever runs inside belongs to the lab, so no list of process ids must be kept and none can be out of date.</remarks>
internal static class NamespaceProcesses
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Process ids by the identity of their network namespace.</summary>
    public static ILookup<string, int> All() =>
        Directory.EnumerateDirectories("/proc")
            .Select(Path.GetFileName)
            .Where(n => char.IsAsciiDigit(n![0]))
            .Select(n => int.Parse(n!, CultureInfo.InvariantCulture))
            .Select(pid => (pid, Identity: IdentityOf(pid)))
            .Where(p => p.Identity.Length > 0)
            .ToLookup(p => p.Identity, p => p.pid, StringComparer.Ordinal);

    /// <summary>Kills all processes in the namespaces, except this one, and waits until they are gone.</summary>
    public static void Kill(IReadOnlyCollection<NetworkNamespace> namespaces)
    {
        HashSet<string> identities = [.. namespaces.Select(IdentityOf).Where(i => i.Length > 0)];
        long started = Stopwatch.GetTimestamp();
        while (true)
        {
            // Again from the start each time: an agent may have started a dataplane between the look and the kill.
            ILookup<string, int> all = All();
            int[] found = [.. identities.SelectMany(i => all[i]).Where(pid => pid != Environment.ProcessId)];
            if (found.Length == 0)
            {
                return;
            }

            if (Stopwatch.GetElapsedTime(started) > Patience)
            {
                throw new LabException($"Processes {string.Join(", ", found)} do not end although they were killed.");
            }

            foreach (int pid in found)
            {
                _ = LabInterop.Signal(pid, LabInterop.SigKill); // ESRCH: it has just ended
            }

            Thread.Sleep(5);
        }
    }

    private static string IdentityOf(NetworkNamespace ns)
    {
        try
        {
            return ns.Identity();
        }
        catch (LabException)
        {
            return ""; // removed in the meantime, or a name without a namespace: nothing can live there
        }
    }

    private static string IdentityOf(int pid)
    {
        try
        {
            // A zombie has no namespace any more, so it is not found, which is right.
            return new FileInfo($"/proc/{pid}/ns/net").LinkTarget ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // ended in the meantime, or not ours to see
        }
    }
}
