namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A test that builds a C program; skipped, with the reason printed, on a machine without a C compiler.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CompilerFactAttribute : FactAttribute
{
    public CompilerFactAttribute() => Skip = Compiler is null ? "there is neither cc nor gcc (apt-get install gcc)" : null;

    /// <summary>Its path; null if there is none.</summary>
    public static string? Compiler { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .SelectMany(directory => new[] { Path.Combine(directory, "cc"), Path.Combine(directory, "gcc") })
        .FirstOrDefault(File.Exists);
}
