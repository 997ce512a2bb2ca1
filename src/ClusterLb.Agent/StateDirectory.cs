using ClusterLb.Agent.Admin;

namespace ClusterLb.Agent;

/// <summary>The state directory as a whole: made, given to a group, removed.</summary>
internal static class StateDirectory
{
    // What stands in it by name; anything else is not ours to delete.
    private static readonly string[] Files =
    [
        "agent.lock", "dataplane.lock", "admin.sock", "admin.sock.new", "dataplane.sock", "dataplane.sock.new",
        "config.json", "config.json.new", "steering.json", "steering.json.new",
    ];

    private static readonly string[] Directories = ["maps", "flows"];

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
        string maps = Path.Combine(path, "maps");
        if (Directory.Exists(maps))
        {
            AdminInterop.ChangeGroup(maps, group);
            foreach (string file in Directory.EnumerateFiles(maps))
            {
                AdminInterop.ChangeGroup(file, group);
            }
        }
    }

    /// <summary>Removes what is ours, and the directory if that was all.</summary>
    /// <returns>False if something else is in it, which stays.</returns>
    public static bool Remove(string path)
    {
        foreach (string file in Files)
        {
            File.Delete(Path.Combine(path, file));
        }

        foreach (string directory in Directories.Select(name => Path.Combine(path, name)).Where(Directory.Exists))
        {
            Directory.Delete(directory, recursive: true);
        }

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
}
