using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent;

/// <summary>The state directory as a whole: made, given to a group, removed.</summary>
internal static class StateDirectory
{
    // What stands in it by name; anything else is not ours to delete.
    private static readonly string[] Files =
    [
        "dataplane.lock", "admin.sock", "admin.sock.new", "dataplane.sock", "dataplane.sock.new", "dataplane.sock.successor",
        "config.json", "config.json.new", "config.json.bad", "steering.json", "steering.json.new", "steering.json.bad",
    ];

    private static readonly Dictionary<string, string[]> Directories = new()
    {
        [SharedLbMaps.DirectoryName] =
        [
            AwaitedBackends.FileName, Epochs.FileName, "backends4", "backends6", "eligible", "maglev", "networks4", "networks6", "node", "reverse_nat",
            "reverse_nat4", "reverse_nat6", "service_names", "service_ports", "services4", "services6", "serving", "source_ranges4",
            "source_ranges6",
        ],
        [FlowDirectory.Name] = [.. FlowTables.FileNames, BackendArrivals.FileName, PacketBatches.FileName, TraceRing.FileName, WorkerSlots.FileName],
    };

    /// <summary>Makes the directory where it is missing.</summary>
    /// <returns>True if it was missing.</returns>
    /// <exception cref="AgentException">It cannot be made.</exception>
    public static bool Create(string path)
    {
        if (Directory.Exists(path))
        {
            return false;
        }

        try
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                | UnixFileMode.GroupRead | UnixFileMode.GroupExecute);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AgentException($"Cannot make the state directory '{path}': {e.Message}", e);
        }
    }

    /// <summary>Lets a group read the maps and reach the admin socket.</summary>
    public static void GiveTo(uint group, string path)
    {
        AdminInterop.ChangeGroup(path, group);
        string maps = Path.Combine(path, SharedLbMaps.DirectoryName);
        if (Directory.Exists(maps))
        {
            AdminInterop.ChangeGroup(maps, group);
            foreach (string file in Directory.EnumerateFiles(maps))
            {
                AdminInterop.ChangeGroup(file, group);
            }
        }
    }

    /// <summary>Removes what is ours, and the directory if that was all. The caller holds the agent's lease.</summary>
    /// <returns>False if something else is in it, which stays.</returns>
    public static bool Remove(string path)
    {
        foreach (string file in Files)
        {
            File.Delete(Path.Combine(path, file));
        }

        foreach ((string name, string[] files) in Directories)
        {
            RemoveMaps(Path.Combine(path, name), files);
        }

        // The lease goes last: from here on another agent can make and take a new one.
        File.Delete(Path.Combine(path, StateLease.AgentFileName));

        if (Directory.EnumerateFileSystemEntries(path).Any())
        {
            return false;
        }

        try
        {
            Directory.Delete(path);
        }
        catch (IOException)
        {
            // A mount point: empty is as good as gone.
        }

        return true;
    }

    private static void RemoveMaps(string directory, string[] names)
    {
        if (!Directory.Exists(directory))
        {
            return;
        }

        foreach (string entry in Directory.GetFileSystemEntries(directory).Where(entry => IsMap(Path.GetFileName(entry), names)))
        {
            if (Directory.Exists(entry) && new FileInfo(entry).LinkTarget is null)
            {
                Directory.Delete(entry, recursive: true); // it stood in the way of a map, and was set aside
            }
            else
            {
                File.Delete(entry);
            }
        }

        if (!Directory.EnumerateFileSystemEntries(directory).Any())
        {
            Directory.Delete(directory);
        }
    }

    // NAME, a draft NAME.new, or NAME.bad-N, which was set aside.
    private static bool IsMap(string file, string[] names) => names.Any(name => file == name || file == $"{name}.new"
        || (file.StartsWith($"{name}.bad-", StringComparison.Ordinal) && int.TryParse(file.AsSpan(name.Length + 5), out _)));
}
