namespace ClusterLb.Agent.Admin;

/// <summary>Answer to a request that changes something.</summary>
/// <param name="Done">False: <paramref name="Message"/> says why not.</param>
/// <param name="Message">One line for people.</param>
/// <param name="Count">Flows that were forgotten, for example.</param>
public sealed record AdminAnswer(bool Done, string Message, long Count = 0);
