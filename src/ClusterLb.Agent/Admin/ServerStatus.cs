using ClusterLb.ControlPlane.Kubernetes.Api;

namespace ClusterLb.Agent.Admin;

/// <summary>How it stands with the API server.</summary>
public sealed record ServerStatus
{
    /// <summary>Host and port that is used now.</summary>
    public required string Server { get; init; }

    /// <summary>Everything that matters is being watched.</summary>
    public required bool Connected { get; init; }

    /// <summary>Since when it is, or is not.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Why not; empty if all is well.</summary>
    public string LastError { get; init; } = "";

    /// <summary>Events that were not written since the start: too many at once, or the server did not take them.</summary>
    public long DroppedEvents { get; init; }

    /// <summary>Each resource by itself.</summary>
    public IReadOnlyList<WatchStatus> Watches { get; init; } = [];

    internal static ServerStatus Of(ApiServerStatus status) => new()
    {
        Server = status.Server,
        Connected = status.Connected,
        Since = status.Since,
        LastError = status.LastError,
        DroppedEvents = status.DroppedEvents,
        Watches = [.. status.Resources.Select(r => new WatchStatus(r.Resource, Word(r.State), r.Since, r.Objects, r.LastError))],
    };

    private static string Word(ApiWatchState state) => state switch
    {
        ApiWatchState.Listing => "listing",
        ApiWatchState.Watching => "watching",
        ApiWatchState.Waiting => "waiting",
        _ => "not offered",
    };
}

/// <summary>One resource of the API server.</summary>
/// <param name="Resource">Plural, as in permissions.</param>
/// <param name="State">listing, watching, waiting or not offered.</param>
/// <param name="Since">Since when.</param>
/// <param name="Objects">How many are known.</param>
/// <param name="LastError">Why it does not work; empty while it does.</param>
public sealed record WatchStatus(string Resource, string State, DateTimeOffset Since, int Objects, string LastError);
