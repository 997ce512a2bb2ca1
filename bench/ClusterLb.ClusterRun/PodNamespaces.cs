using System.Globalization;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Finds the network namespace of a pod on this machine by the pod's address.</summary>
internal static class PodNamespaces
{
    /// <summary>The namespace of some process that has this address on an interface.</summary>
    /// <exception cref="LabException">No process of this machine has it.</exception>
    public static NetworkNamespace Find(string address)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (string folder in Directory.EnumerateDirectories("/proc").Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0])))
        {
            try
            {
                string identity = new FileInfo($"{folder}/ns/net").LinkTarget ?? "";
                if (identity.Length > 0 && seen.Add(identity) && File.ReadAllText($"{folder}/net/fib_trie").Contains($"-- {address}\n", StringComparison.Ordinal)
                    && IsLocal(File.ReadAllLines($"{folder}/net/fib_trie"), address))
                {
                    return new NetworkNamespace($"/proc/{int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture)}/ns/net");
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // it has just ended
            }
        }

        throw new LabException($"No process of this machine has the pod's address {address}: the pods must run here.");
    }

    // A route to the address has it too: the line after it says whether it is the namespace's own.
    private static bool IsLocal(string[] lines, string address)
    {
        for (int i = 0; i + 1 < lines.Length; i++)
        {
            if (lines[i].EndsWith($"-- {address}", StringComparison.Ordinal) && lines[i + 1].Contains("/32 host LOCAL", StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
