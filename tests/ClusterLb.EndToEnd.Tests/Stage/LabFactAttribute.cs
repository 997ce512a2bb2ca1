using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A test in network namespaces: skipped, with the reason, where none can be made.</summary>
public sealed class LabFactAttribute : FactAttribute
{
    public LabFactAttribute() => Skip = LabNeeds.Reason;
}

/// <summary>A table of tests in network namespaces: skipped, with the reason, where none can be made.</summary>
public sealed class LabTheoryAttribute : TheoryAttribute
{
    public LabTheoryAttribute() => Skip = LabNeeds.Reason;
}

internal static class LabNeeds
{
    /// <summary>Null if a lab can run here.</summary>
    public static string? Reason { get; } = Tool.Missing().ToArray() is { Length: > 0 } missing ? string.Join(' ', missing) : null;
}
