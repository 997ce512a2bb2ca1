namespace ClusterLb.Agent.Logging;

/// <summary>What happened, and the values that say to whom.</summary>
/// <param name="Text">The stem that people look for; the same for every occurrence.</param>
/// <param name="Values">By name, the first letter small.</param>
/// <param name="Error">Null if none.</param>
internal readonly record struct KlogMessage(string Text, IReadOnlyList<KeyValuePair<string, object?>> Values, string? Error);
