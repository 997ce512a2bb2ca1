namespace ClusterLb.ControlPlane.Model;

/// <summary>How far the changes of one address family are: for health and metrics. A snapshot.</summary>
/// <param name="PendingSince">When the oldest change came that is not in the maps yet; null if all are.</param>
/// <param name="LastQueued">When the latest change came; null before the first.</param>
/// <param name="LastWritten">When the maps were last brought up to date; null before the first time.</param>
public readonly record struct FamilyChanges(DateTimeOffset? PendingSince, DateTimeOffset? LastQueued, DateTimeOffset? LastWritten);
