using System.Diagnostics;

namespace ClusterLb.Agent.Steering;

/// <summary>Runs ip, nft and iptables. Only at start and on rare changes: no packet and no backend change runs a process.</summary>
internal static class Tool
{
    /// <summary>Runs to the end and returns the standard output.</summary>
    /// <param name="program">Found by PATH.</param>
    /// <param name="arguments">Not seen by any shell.</param>
    /// <param name="input">Standard input.</param>
    /// <param name="tolerate">An error text that means "nothing there": the output is empty then.</param>
    /// <exception cref="SteeringException">It could not be run, or failed.</exception>
    public static string Run(string program, IEnumerable<string> arguments, string input = "", string? tolerate = null)
    {
        string[] argumentList = [.. arguments];
        var start = new ProcessStartInfo(program, argumentList)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["LC_ALL"] = "C" },
        };
        string command = $"{program} {string.Join(' ', argumentList)}";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            WriteInput(process, input);
            if (!process.WaitForExit(Patience))
            {
                process.Kill();
                throw new SteeringException($"'{command}' did not end within {Patience.TotalSeconds} seconds.");
            }

            string error = errors.GetAwaiter().GetResult().Trim();
            if (process.ExitCode == 0)
            {
                return output.GetAwaiter().GetResult();
            }

            return tolerate is not null && error.Contains(tolerate, StringComparison.Ordinal)
                ? ""
                : throw new SteeringException($"'{command}' failed with status {process.ExitCode}: {Explain(error, input)}");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new SteeringException($"Cannot run {program}: {e.Message}. Install it, or correct PATH.", e);
        }
    }

    /// <summary>The file that <see cref="Run"/> would start, or null.</summary>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin")
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, program))
            .FirstOrDefault(File.Exists);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static void WriteInput(Process process, string input)
    {
        try
        {
            process.StandardInput.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it read everything: its exit status says why.
        }
    }

    // "Command failed -:3" means the third line of the input.
    private static string Explain(string error, string input)
    {
        int at = error.LastIndexOf("-:", StringComparison.Ordinal);
        string[] lines = input.Split('\n');
        return at >= 0 && int.TryParse(error.AsSpan(at + 2).Trim(), out int line) && line >= 1 && line <= lines.Length
            ? $"{error.ReplaceLineEndings(" ")} ({lines[line - 1]})"
            : error.ReplaceLineEndings(" ");
    }
}
