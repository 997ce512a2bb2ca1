namespace ClusterLb.Lab.Client;

/// <summary>What came of a long-lived connection whose every byte was checked.</summary>
/// <param name="Pod">Who is at the other end.</param>
/// <param name="Client">The client's address and port as the server saw them.</param>
/// <param name="Bytes">Bytes that came back as they were sent.</param>
/// <param name="Exchanges">Questions answered; of a bulk transfer 0.</param>
/// <param name="LongestGapMs">The longest time between two answers.</param>
/// <param name="Lost">Datagrams without an answer; of TCP always 0.</param>
/// <param name="ElapsedMs">From dialling to the end.</param>
/// <param name="Failure">Empty, or why it ended early.</param>
public sealed record StreamReport(
    string Pod, string Client, long Bytes, long Exchanges, double LongestGapMs, long Lost, double ElapsedMs, string Failure);
