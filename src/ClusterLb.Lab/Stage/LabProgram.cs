namespace ClusterLb.Lab.Stage;

/// <summary>How to start ClusterLb: the published file, or `dotnet clusterlb.dll` during development.</summary>
public static class LabProgram
{
    /// <summary>Names the program that tests start instead of their own build.</summary>
    public const string EnvironmentVariable = "CLUSTERLB_PROGRAM";

    /// <summary>The program this process runs.</summary>
    public static IReadOnlyList<string> Running()
    {
        string path = Environment.ProcessPath ?? "clusterlb";
        return Path.GetFileName(path) == "dotnet" ? [path, Path.GetFullPath(Environment.GetCommandLineArgs()[0])] : [path];
    }

    /// <summary>What <see cref="EnvironmentVariable"/> names, else the build in <paramref name="folder"/>.</summary>
    /// <exception cref="LabException">Neither is there.</exception>
    public static IReadOnlyList<string> Find(string folder)
    {
        string? named = Environment.GetEnvironmentVariable(EnvironmentVariable);
        string path = string.IsNullOrEmpty(named) ? Path.Combine(folder, "clusterlb.dll") : Path.GetFullPath(named);
        if (!File.Exists(path))
        {
            throw new LabException($"There is no program '{path}'. Build it, or set {EnvironmentVariable}.");
        }

        return path.EndsWith(".dll", StringComparison.Ordinal) ? ["dotnet", path] : [path];
    }
}
