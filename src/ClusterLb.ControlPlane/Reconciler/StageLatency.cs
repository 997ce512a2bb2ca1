namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>How long a stage took in the changes that are remembered. Milliseconds.</summary>
/// <param name="Stage">api, read, write, packet or total.</param>
/// <param name="Count">Changes that went through it.</param>
/// <param name="P50Ms">Half of them took at most this long.</param>
/// <param name="P99Ms">99 of 100 took at most this long.</param>
/// <param name="MaxMs">The longest.</param>
public sealed record StageLatency(string Stage, int Count, double P50Ms, double P99Ms, double MaxMs)
{
    /// <summary>All stages in their order, those that no change went through too.</summary>
    public static IReadOnlyList<StageLatency> Of(IReadOnlyCollection<TracedChange> changes) =>
    [
        Of("api", changes.Select(c => c.ApiMs)),
        Of("read", changes.Select(c => (double?)c.ReadMs)),
        Of("write", changes.Select(c => (double?)c.WriteMs)),
        Of("packet", changes.Select(c => c.PacketMs)),
        Of("total", changes.Select(c => (double?)c.TotalMs)),
    ];

    private static StageLatency Of(string stage, IEnumerable<double?> times)
    {
        double[] sorted = [.. times.OfType<double>().Order()];
        return sorted.Length == 0
            ? new StageLatency(stage, 0, 0, 0, 0)
            : new StageLatency(stage, sorted.Length, Quantile(sorted, 0.5), Quantile(sorted, 0.99), sorted[^1]);
    }

    /// <summary>The smallest value that so many are not above: one that occurred, not one in between.</summary>
    private static double Quantile(double[] sorted, double share) => sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)];
}
