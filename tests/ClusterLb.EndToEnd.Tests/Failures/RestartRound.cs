namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>What one restart did to the flows.</summary>
/// <param name="TcpGapMs">The longest silence of any TCP flow.</param>
/// <param name="UdpGapMs">The longest silence of any UDP flow.</param>
/// <param name="DatagramsLost">Questions over UDP without an answer.</param>
internal sealed record RestartRound(double TcpGapMs, double UdpGapMs, long DatagramsLost);
