using ClusterLb.Dataplane.Host;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>The command line and environment of the dataplane process: the same program, without rights.</summary>
/// <param name="Program">The program and what stands before the verb.</param>
public sealed record DataplaneCommand(IReadOnlyList<string> Program)
{
    private const string Nobody = "65534";

    // Two queues' batch buffers are some 9 MiB; the rest is what a small JSON message needs. A leak shall show.
    private const long HeapLimitBase = 64L << 20;
    private const long HeapLimitPerQueue = 8L << 20;

    /// <summary>This program: the single file, or <c>dotnet clusterlb.dll</c> where it runs that way (tests).</summary>
    public static DataplaneCommand OfThisProgram() => Of(
        Environment.ProcessPath ?? throw new InvalidOperationException("/proc is not mounted, so this program cannot find itself."),
        AppContext.BaseDirectory);

    /// <summary>The program of a process; the single file may have any name.</summary>
    /// <param name="process">The path of its executable.</param>
    /// <param name="folder">Where its assemblies lie.</param>
    internal static DataplaneCommand Of(string process, string folder) =>
        Path.GetFileName(process) == "dotnet" ? new([process, Path.Combine(folder, "clusterlb.dll")]) : new([process]);

    /// <summary>Arguments for a child that inherits the control socket as 3 and the lease as 4.</summary>
    /// <param name="verb"><see cref="DataplaneProcess.Verb"/> or <see cref="DataplaneProcess.SuccessorVerb"/>: for people, both do the same.</param>
    /// <param name="reservation">Why the child keeps this process's user; null if it gets an unprivileged one.</param>
    public IReadOnlyList<string> Arguments(string verb, out string? reservation)
    {
        List<string> rights = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"];
        reservation = null;
        if (ProcessInterop.EffectiveUser() == 0)
        {
            rights.Add("--bounding-set=-all");
            reservation = Program.Where(Path.IsPathRooted).Select(UnreadableByOthers).FirstOrDefault(path => path is not null);
            if (reservation is null)
            {
                rights.AddRange(["--reuid", Nobody, "--regid", Nobody, "--clear-groups"]);
            }
            else
            {
                reservation = $"it cannot read '{reservation}'";
            }
        }

        return [.. rights, .. Program, verb, DataplaneProcess.ControlOption, "3", "--lease-fd", "4"];
    }

    /// <summary>All of the child's environment.</summary>
    public static IReadOnlyList<string> Variables(int queues)
    {
        List<string> variables =
        [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DOTNET_EnableDiagnostics=0", // no diagnostics socket: who may open it may run code in the process
            "DOTNET_TieredPGO=1", // off for the program: the agent compiles little twice, the packet path is worth it
            "DOTNET_gcServer=0",
            "DOTNET_gcConcurrent=0", // nothing to collect, so no thread to do it
            $"DOTNET_GCHeapHardLimit=0x{HeapLimitBase + (queues * HeapLimitPerQueue):x}",
        ];
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { } root)
        {
            variables.Add($"DOTNET_ROOT={root}");
        }

        return variables;
    }

    /// <summary>The first part of a path that another user may not read or pass through; null if there is none.</summary>
    private static string? UnreadableByOthers(string path)
    {
        string real = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        if (!File.GetUnixFileMode(real).HasFlag(UnixFileMode.OtherRead))
        {
            return real;
        }

        for (string? folder = Path.GetDirectoryName(real); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (!File.GetUnixFileMode(folder).HasFlag(UnixFileMode.OtherExecute))
            {
                return folder;
            }
        }

        return null;
    }
}
