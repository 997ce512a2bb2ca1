namespace ClusterLb.Agent.DataplaneChild;

/// <summary>What the agent knows of its dataplane without asking it.</summary>
/// <param name="Serving">Its workers showed signs of life within the last two seconds.</param>
/// <param name="Pid">Its process id; null if there is none.</param>
/// <param name="Restarts">How often one ended unasked since this agent began, and was to be started again.</param>
/// <param name="SuccessorPid">The process that serves at once should this one end; null if there is none.</param>
/// <param name="Problem">Why it does not serve; null if it does, or was asked to stop.</param>
public sealed record DataplaneHealth(bool Serving, int? Pid, int Restarts, string? Problem, int? SuccessorPid = null);
