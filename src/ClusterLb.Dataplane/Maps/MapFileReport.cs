namespace ClusterLb.Dataplane.Maps;

/// <summary>What opening a file for writing found and did.</summary>
public enum MapFileOutcome
{
    /// <summary>There was none.</summary>
    Created,

    /// <summary>The file of the previous writer goes on.</summary>
    Adopted,

    /// <summary>It had another capacity or an older layout: its entries were copied to a new file.</summary>
    Upgraded,

    /// <summary>It could not be used: it was renamed, and a new one made.</summary>
    SetAside,
}

/// <summary>What opening one file for writing found and did.</summary>
/// <param name="Name">The file's name.</param>
/// <param name="Outcome">What became of the file that was there.</param>
/// <param name="Reason">For people; empty where the outcome says all.</param>
public sealed record MapFileReport(string Name, MapFileOutcome Outcome, string Reason)
{
    /// <summary>Entries in use afterwards.</summary>
    public int Entries { get; init; }

    /// <summary>Entries that made no sense and were dropped, or that did not fit a smaller capacity.</summary>
    public int Dropped { get; init; }

    /// <summary>Where the file lies that was set aside; empty if none was.</summary>
    public string Aside { get; init; } = "";

    /// <summary>True if readers that have the previous file must be given the new one.</summary>
    public bool IsNewFile => Outcome != MapFileOutcome.Adopted;

    /// <summary>One line about those files that were set aside, with their new names in the state directory and the reason; null if none was.</summary>
    public static string? TellOfSetAside(IEnumerable<MapFileReport> reports)
    {
        string[] reasons = [.. reports.Where(report => report.Outcome == MapFileOutcome.SetAside)
            .GroupBy(report => report.Reason, report => ShortName(report.Aside), StringComparer.Ordinal)
            .Select(group => $"{string.Join(", ", group)}: {group.Key}")];
        return reasons.Length == 0 ? null : string.Join("; ", reasons);
    }

    private static string ShortName(string path) => Path.Combine(Path.GetFileName(Path.GetDirectoryName(path)) ?? "", Path.GetFileName(path));
}
