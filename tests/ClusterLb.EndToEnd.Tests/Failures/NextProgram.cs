using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The program that a node is upgraded to: of another version if one is named, else a copy of this one at another path.</summary>
internal sealed class NextProgram : IDisposable
{
    /// <summary>Names a program of another version: <c>dotnet publish src/ClusterLb.Cli … -p:VersionPrefix=9.9.9 -o DIRECTORY</c>.</summary>
    public const string EnvironmentVariable = "CLUSTERLB_NEXT_PROGRAM";

    private readonly string? _folder;

    private NextProgram(string? folder, IReadOnlyList<string> command)
    {
        _folder = folder;
        Command = command;
    }

    /// <summary>How it is started.</summary>
    public IReadOnlyList<string> Command { get; }

    /// <summary>It is another version, so that it needs no other reason to put its own dataplane in the place of the one that it finds.</summary>
    public bool IsOtherVersion => _folder is null;

    public static NextProgram Of(IReadOnlyList<string> program)
    {
        if (Environment.GetEnvironmentVariable(EnvironmentVariable) is { Length: > 0 } named)
        {
            return new NextProgram(null, LabProgram.OfFile(Path.GetFullPath(named)));
        }

        // Everybody may read it: the dataplane runs as nobody.
        string folder = Directory.CreateDirectory(
            Path.Combine(Path.GetTempPath(), $"clb-next-{Environment.ProcessId}"),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
            | UnixFileMode.OtherRead | UnixFileMode.OtherExecute).FullName;
        string file = program[^1];
        if (!file.EndsWith(".dll", StringComparison.Ordinal))
        {
            string copy = Path.Combine(folder, "clusterlb-next"); // the single file may have any name
            File.Copy(file, copy);
            return new NextProgram(folder, [copy]);
        }

        foreach (string part in Directory.EnumerateFiles(Path.GetDirectoryName(file)!))
        {
            File.Copy(part, Path.Combine(folder, Path.GetFileName(part)));
        }

        return new NextProgram(folder, LabProgram.OfFile(Path.Combine(folder, Path.GetFileName(file))));
    }

    public void Dispose()
    {
        if (_folder is not null)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }
}
