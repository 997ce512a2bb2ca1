namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Candidates for the source port of a flow whose own port cannot be kept.</summary>
/// <remarks>
/// Outside of node ports (30000-32767) and of the kernel's usual ephemeral range (32768-60999), so that they meet neither
/// what the node listens on for services nor what it connects from. Random and bounded: which ports are taken is known only
/// per backend, by the flow table itself. A port is free again when its flow is forgotten.
/// </remarks>
internal sealed class SnatPortAllocator(RandomSource random)
{
    /// <summary>Candidates that are tried before <see cref="DropReason.SnatPortsExhausted"/>.</summary>
    public const int MostTries = 64;

    private const ushort LowFirst = 1_024;
    private const ushort LowLast = 29_999;

    // The high range is reserved for us; the low one is larger, but servers live there.
    private const int TriesInHighRange = 24;

    /// <summary>True if a port of the client's may stand next to this node's address.</summary>
    public static bool IsSafe(ushort port) => port is (>= SnatPorts.First and <= SnatPorts.Last) or (>= LowFirst and <= LowLast);

    /// <summary>The next candidate.</summary>
    /// <param name="attempt">From 0 to <see cref="MostTries"/> - 1.</param>
    public ushort Candidate(int attempt) => attempt < TriesInHighRange
        ? (ushort)(SnatPorts.First + random.Next(SnatPorts.Last - SnatPorts.First + 1))
        : (ushort)(LowFirst + random.Next(LowLast - LowFirst + 1));
}
