namespace ClusterLb.Agent.Steering;

/// <summary>Kernel settings under /proc/sys: those of the network are the calling thread's namespace's.</summary>
internal static class Sysctls
{
    /// <summary>Writing it writes every interface's setting, and accept_redirects (kernel, inet_forward_change).</summary>
    public const string Ipv4Forwarding = "net/ipv4/ip_forward";

    /// <summary>Writing it writes every interface's setting (kernel, addrconf_fixup_forwarding).</summary>
    public const string Ipv6Forwarding = "net/ipv6/conf/all/forwarding";

    /// <summary>Ports that the kernel does not give to sockets by itself.</summary>
    public const string ReservedPorts = "net/ipv4/ip_local_reserved_ports";

    private const string PortRange = "net/ipv4/ip_local_port_range";

    /// <summary>The kernel was built, or started, with IPv6.</summary>
    public static bool KernelHasIpv6 => Directory.Exists("/proc/sys/net/ipv6/conf/all");

    /// <summary>The families that the kernel knows, false for IPv4 and true for IPv6.</summary>
    public static IReadOnlyList<bool> KernelFamilies => KernelHasIpv6 ? [false, true] : [false];

    /// <summary>The value without its newline, or null if there is no such setting.</summary>
    /// <exception cref="SteeringException">It is there, and cannot be read.</exception>
    public static string? Read(string name)
    {
        try
        {
            return File.ReadAllText(PathOf(name)).TrimEnd('\n');
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SteeringException($"Cannot read {name}: {e.Message}", e);
        }
    }

    /// <summary>Writes a value.</summary>
    /// <exception cref="SteeringException">It cannot be written.</exception>
    public static void Write(string name, string value)
    {
        try
        {
            File.WriteAllText(PathOf(name), value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SteeringException($"Cannot set {name} to '{value}': {e.Message} In a container /proc/sys/net must be writable.", e);
        }
    }

    /// <summary>Some settings belong to the machine, and its other network namespaces, containers for example, may only read them.</summary>
    public static bool IsWritable(string name) =>
        File.Exists(PathOf(name)) && File.GetUnixFileMode(PathOf(name)).HasFlag(UnixFileMode.UserWrite);

    /// <summary>What else writing <paramref name="name"/> will change, so that it can be restored: name and present value.</summary>
    public static IEnumerable<KeyValuePair<string, string>> SideEffects(string name)
    {
        string? family = name switch { Ipv4Forwarding => "net/ipv4", Ipv6Forwarding => "net/ipv6", _ => null };
        if (family is null)
        {
            yield break;
        }

        List<string> names = [.. Interfaces(family).Select(device => $"{family}/conf/{device}/forwarding")];
        if (name == Ipv4Forwarding)
        {
            names.Add("net/ipv4/conf/all/accept_redirects");
        }

        foreach (string affected in names.Where(affected => affected != name))
        {
            if (Read(affected) is string value)
            {
                yield return new KeyValuePair<string, string>(affected, value);
            }
        }
    }

    /// <summary>First and last port that the kernel gives to sockets by itself.</summary>
    public static (int First, int Last) LocalPortRange()
    {
        string[] ends = (Read(PortRange) ?? "").Split('\t', ' ');
        return ends.Length == 2 && int.TryParse(ends[0], out int first) && int.TryParse(ends[1], out int last) ? (first, last) : (0, 0);
    }

    private static IEnumerable<string> Interfaces(string family) =>
        Directory.EnumerateDirectories(PathOf($"{family}/conf")).Select(path => Path.GetFileName(path)).Where(name => name != "all");

    private static string PathOf(string name) => $"/proc/sys/{name}";
}
