namespace ClusterLb.Agent.Firewall;

/// <summary>Bits of a mark that a rule looks at or writes.</summary>
/// <param name="IsConnectionMark">Of the connection; else of the packet.</param>
/// <param name="Bits">Those that it looks at, or may change.</param>
/// <param name="Writes">It may change them.</param>
public readonly record struct MarkUse(bool IsConnectionMark, uint Bits, bool Writes);
