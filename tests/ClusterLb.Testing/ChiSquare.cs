namespace ClusterLb.Testing;

/// <summary>Pearson's test: may these counts come from these shares?</summary>
public static class ChiSquare
{
    // One of ten thousand fair samples is further off. Tests have fixed seeds: what passes once passes always.
    private const double Deviations = 3.72;

    /// <summary>True if the counts are no further from the shares than chance takes them.</summary>
    /// <param name="counts">How often each was seen.</param>
    /// <param name="shares">How often each should be, in any unit; all alike if there are none.</param>
    public static bool IsPlausible(IReadOnlyList<int> counts, params IReadOnlyList<double> shares)
    {
        double all = counts.Sum();
        double unit = shares.Count == 0 ? counts.Count : shares.Sum();
        double sum = 0;
        for (int i = 0; i < counts.Count; i++)
        {
            double expected = all * (shares.Count == 0 ? 1 : shares[i]) / unit;
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
        }

        return sum <= Limit(counts.Count - 1);
    }

    /// <summary>Wilson and Hilferty 1931: the cube root of chi-square is almost normal.</summary>
    private static double Limit(int degrees)
    {
        double spread = 2.0 / (9 * degrees);
        return degrees * Math.Pow(1 - spread + (Deviations * Math.Sqrt(spread)), 3);
    }
}
