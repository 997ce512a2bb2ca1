using System.Globalization;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent.Admin;

/// <summary>Groups of files, which the base class library cannot change.</summary>
internal static partial class AdminInterop
{
    /// <summary>The id of a group, from /etc/group or a number; null if there is none of that name.</summary>
    public static uint? FindGroup(string name)
    {
        if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
        {
            return number;
        }

        // name:password:id:members. Groups of a directory service are not looked for: the agent runs in a container.
        string? line = File.Exists("/etc/group")
            ? File.ReadLines("/etc/group").FirstOrDefault(l => l.StartsWith(name + ":", StringComparison.Ordinal))
            : null;
        return line?.Split(':') is [_, _, string id, ..] && uint.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out number) ? number : null;
    }

    /// <summary>Gives a file or directory to a group; its owner stays.</summary>
    /// <exception cref="IOException">It cannot be given.</exception>
    public static void ChangeGroup(string path, uint group)
    {
        if (chown(path, uint.MaxValue, group) != 0)
        {
            throw new IOException($"Cannot give '{path}' to group {group}: {Errno.Name(Marshal.GetLastPInvokeError())}.");
        }
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chown(string path, uint owner, uint group);
}
