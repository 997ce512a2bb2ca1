using System.Diagnostics;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>What `make demo` runs.</summary>
public sealed class DemoTests
{
    private static readonly string Name = $"e2ed{Environment.ProcessId}";

    [LabFact]
    public void The_demo_is_as_expected_and_leaves_nothing()
    {
        IReadOnlyList<string> program = LabProgram.Find(AppContext.BaseDirectory);

        ToolResult demo = Tool.Try(program[0], [.. program.Skip(1), "lab", "demo", "--name", Name]);

        Assert.True(demo.ExitCode == 0, demo.Output + demo.Errors);
        Assert.Contains("Everything was as expected", demo.Output, StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [LabTheory]
    [InlineData("INT")] // Ctrl-C
    [InlineData("TERM")]
    [InlineData("KILL")]
    public async Task A_demo_that_is_interrupted_leaves_nothing(string signal)
    {
        IReadOnlyList<string> program = LabProgram.Find(AppContext.BaseDirectory);
        var start = new ProcessStartInfo(program[0], [.. program.Skip(1), "lab", "demo", "--name", Name]) { RedirectStandardOutput = true, UseShellExecute = false };
        using Process demo = Process.Start(start)!;
        while (await demo.StandardOutput.ReadLineAsync() is { } line && !line.StartsWith("2. ", StringComparison.Ordinal))
        {
            // It sets the lab up; what is interrupted is the traffic.
        }

        Tool.Run("kill", [$"-{signal}", $"{demo.Id}"]);
        await demo.StandardOutput.ReadToEndAsync();
        await demo.WaitForExitAsync();

        Assert.NotEqual(0, demo.ExitCode);
        await Eventually.IsAsync("nothing is left", () => !LabCluster.Names().Contains(Name)
            && !Directory.EnumerateFiles(NetworkNamespace.Folder, Name + "-*").Any());
        AssertNothingLeft();
    }

    private static void AssertNothingLeft()
    {
        Assert.DoesNotContain(Name, LabCluster.Names());
        Assert.Empty(Directory.EnumerateFiles(NetworkNamespace.Folder, Name + "-*"));
        Assert.DoesNotContain(Directory.EnumerateDirectories("/proc"), d => CommandLine(d).Contains($"/{Name}/", StringComparison.Ordinal));
    }

    private static string CommandLine(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // not a process, or it has just ended
        }
    }
}
