using ClusterLb.Agent.DataplaneChild;

namespace ClusterLb.Lab.Stage;

/// <summary>How to start ClusterLb: the published file, or `dotnet clusterlb.dll` during development.</summary>
public static class LabProgram
{
    /// <summary>Names the program that tests start instead of their own build.</summary>
    public const string EnvironmentVariable = "CLUSTERLB_PROGRAM";

    /// <summary>The program this process runs.</summary>
    public static IReadOnlyList<string> Running() => DataplaneCommand.OfThisProgram().Program;

    /// <summary>What <see cref="EnvironmentVariable"/> names, else the build in <paramref name="folder"/>.</summary>
    /// <exception cref="LabException">Neither is there.</exception>
    public static IReadOnlyList<string> Find(string folder)
    {
        string? named = Environment.GetEnvironmentVariable(EnvironmentVariable);
        string path = string.IsNullOrEmpty(named) ? Path.Combine(folder, "clusterlb.dll") : Path.GetFullPath(named);
        return File.Exists(path) ? OfFile(path) : throw new LabException($"There is no program '{path}'. Build it, or set {EnvironmentVariable}.");
    }

    /// <summary>How a file is started that may be a program or an assembly.</summary>
    public static IReadOnlyList<string> OfFile(string path) => path.EndsWith(".dll", StringComparison.Ordinal) ? ["dotnet", path] : [path];
}
