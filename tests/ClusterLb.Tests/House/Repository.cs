namespace ClusterLb.Tests.House;

/// <summary>The checkout that the tests run in.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Source files below <paramref name="folder"/>, without build output, relative to the root.</summary>
    public static IEnumerable<string> Sources(string folder, string pattern = "*.cs") =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), pattern, SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    /// <summary>What is written for people, relative to the root.</summary>
    public static IEnumerable<string> Documents() =>
        new[] { "docs", "src", "deploy", "bench" }.SelectMany(folder => Sources(folder, "*.md")).Append("README.md").Append("CONTRIBUTING.md");

    public static string Read(string file) => File.ReadAllText(Path.Combine(Root, file));

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ClusterLb.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No ClusterLb.sln above {AppContext.BaseDirectory}.");
    }
}
