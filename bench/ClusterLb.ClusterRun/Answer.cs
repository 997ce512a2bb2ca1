namespace ClusterLb.ClusterRun;

/// <summary>What came of one request.</summary>
/// <param name="Body">What the server said.</param>
/// <param name="Failure">Empty, or why there is no answer.</param>
/// <param name="Elapsed">From dialling to the end.</param>
internal sealed record Answer(string Body, string Failure, TimeSpan Elapsed);
