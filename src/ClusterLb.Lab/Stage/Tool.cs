using System.Diagnostics;

namespace ClusterLb.Lab.Stage;

/// <summary>Runs a program to its end and returns what it said.</summary>
public static class Tool
{
    /// <summary>Programs of the system that the lab cannot do without.</summary>
    public static IReadOnlyList<string> Needed { get; } = ["ip", "nft", "nsenter", "setsid", "setpriv"];

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Runs a program and returns its exit status and its output, whatever the status is.</summary>
    /// <param name="program">A name to find in PATH, or a path.</param>
    /// <param name="arguments">One item per argument; no shell looks at them.</param>
    /// <param name="input">Text for its standard input; nothing if null.</param>
    /// <exception cref="LabException">It is missing, or did not end within a minute and was killed.</exception>
    public static ToolResult Try(string program, IReadOnlyList<string> arguments, string? input = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Start(start);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            process.StandardInput.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading; its exit status and its words say why.
        }

        if (!process.WaitForExit(Patience))
        {
            process.Kill();
            throw new LabException($"'{program} {string.Join(' ', arguments)}' did not end within {Patience.TotalSeconds} s.");
        }

        return new ToolResult(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    /// <summary>Runs a program that must succeed and returns its standard output.</summary>
    /// <exception cref="LabException">It is missing, or its exit status is not 0.</exception>
    public static string Run(string program, IReadOnlyList<string> arguments, string? input = null)
    {
        ToolResult result = Try(program, arguments, input);
        return result.ExitCode == 0
            ? result.Output
            : throw new LabException(
                $"'{program} {string.Join(' ', arguments)}' failed with status {result.ExitCode}: {result.Errors.Trim()}");
    }

    /// <summary>What keeps this machine and user from running a lab; empty if nothing does.</summary>
    public static IEnumerable<string> Missing()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            yield return "it makes network namespaces, which needs root (run it with sudo)";
        }

        if (!File.Exists("/dev/net/tun"))
        {
            yield return "/dev/net/tun does not exist (kernel module 'tun')";
        }

        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        foreach (string tool in Needed.Where(t => !folders.Any(f => File.Exists(Path.Combine(f, t)))))
        {
            yield return $"the program '{tool}' is not in PATH (Debian: apt-get install iproute2 nftables util-linux)";
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new LabException($"Cannot start '{start.FileName}': {e.Message}.", e);
        }
    }
}
