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

    /// <summary>True if readers that have the previous file must be given the new one.</summary>
    public bool IsNewFile => Outcome != MapFileOutcome.Adopted;
}
