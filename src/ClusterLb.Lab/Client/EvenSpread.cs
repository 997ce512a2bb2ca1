namespace ClusterLb.Lab.Client;

/// <summary>Pearson's chi-square test of "each backend is chosen equally often".</summary>
/// <param name="ChiSquare">Sum over the backends of (observed - expected)^2 / expected.</param>
/// <param name="Limit">What a fair choice exceeds at most once in 10,000 runs.</param>
public sealed record EvenSpread(double ChiSquare, double Limit)
{
    private const double OneIn10000 = 3.719; // of the standard normal distribution

    /// <summary>True if a fair choice may well look like this.</summary>
    public bool IsEven => ChiSquare <= Limit;

    /// <summary>Tests counts of connections.</summary>
    /// <param name="counts">One per backend that was chosen.</param>
    /// <param name="backends">How many there are; those without a count were never chosen.</param>
    public static EvenSpread Of(IEnumerable<int> counts, int backends)
    {
        int[] observed = [.. counts];
        if (observed.Length > backends)
        {
            return new EvenSpread(double.PositiveInfinity, 0); // somebody answered who is no backend
        }

        double expected = (double)observed.Sum() / backends;
        double sum = observed.Sum(o => (o - expected) * (o - expected) / expected) + ((backends - observed.Length) * expected);

        // The Wilson-Hilferty approximation: the cube root of chi-square over its degrees of freedom is nearly normal
        // (in this tail the limit comes out up to 7 % high, on the side of fewer false alarms).
        double freedom = Math.Max(1, backends - 1);
        double part = 2 / (9 * freedom);
        double limit = freedom * Math.Pow(1 - part + (OneIn10000 * Math.Sqrt(part)), 3);
        return new EvenSpread(Math.Round(sum, 2), Math.Round(limit, 2));
    }
}
