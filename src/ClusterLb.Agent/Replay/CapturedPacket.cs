namespace ClusterLb.Agent.Replay;

/// <summary>One packet of a capture.</summary>
/// <param name="TimeNs">Since 1970; of the capture, so it may jump.</param>
/// <param name="Packet">From the first byte of its IP header; empty if it was no IP packet.</param>
/// <param name="IsCut">The capture holds only its beginning.</param>
public sealed record CapturedPacket(long TimeNs, byte[] Packet, bool IsCut);
