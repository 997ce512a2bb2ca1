using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

/// <summary>One run of the program inside of the test: what it printed and how it ended.</summary>
internal sealed record CliRun(int Status, string Out, string Error)
{
    public static async Task<CliRun> Of(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int status = await CommandLine.RunAsync(args, OnTo(output, error));
        return new CliRun(status, output.ToString(), error.ToString());
    }

    /// <summary>A terminal that prints into strings.</summary>
    public static Terminal OnTo(TextWriter output, TextWriter? error = null, int width = int.MaxValue) => new()
    {
        Out = output,
        Error = error ?? TextWriter.Null,
        Width = width,
        OpenEndless = () => output,
    };

    /// <summary>What <paramref name="print"/> prints.</summary>
    public static string Text(Action<Terminal> print, int width = int.MaxValue)
    {
        using var output = new StringWriter();
        print(OnTo(output, width: width));
        return output.ToString();
    }
}
