using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Explain;

/// <summary>One connection that was tried: its first packet, and the backend's answer if it got to one.</summary>
internal sealed record Trial(ProbeResult First, ProbeResult? Answer)
{
    /// <summary>True if the client gets the backend's answer from the address and port that it dialled.</summary>
    public bool AnswersFrom(FlowTuple dialled) =>
        Answer is { Verdict: Verdict.Forward, Written: { } written } && written == dialled.Reverse;
}
