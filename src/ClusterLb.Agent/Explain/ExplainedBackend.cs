namespace ClusterLb.Agent.Explain;

/// <summary>One backend that a connection may get, and how its packets are translated then.</summary>
/// <param name="Backend"><c>10.244.1.5:8080</c>.</param>
/// <param name="Id">Key of the backend map.</param>
/// <param name="Slot">The first slot that holds it; null if it was not found there (it changed meanwhile).</param>
/// <param name="IsCanary">It is one of the other service of a split; its slot is one of that service's.</param>
/// <param name="ChosenBy">What made the pipeline choose it, in a few words.</param>
/// <param name="Masquerade">The backend sees an address of this node, not the client's.</param>
/// <param name="MasqueradeWhy">Why, in a few words.</param>
/// <param name="Sent">Tuple of the packet to the backend, read from its bytes.</param>
/// <param name="Answer">Tuple of what the client gets when the backend answers, read from its bytes.</param>
/// <param name="AnswerIsFromFrontend">The client sees the answer come from whom it dialled.</param>
public sealed record ExplainedBackend(
    string Backend, uint Id, uint? Slot, bool IsCanary, string ChosenBy, bool Masquerade, string MasqueradeWhy, string Sent, string Answer, bool AnswerIsFromFrontend);
