using System.Buffers;
using System.Globalization;

namespace ClusterLb.Agent.Configuration;

/// <summary>Durations as Go and Kubernetes write them (metav1.Duration): <c>30s</c>, <c>1h30m</c>, <c>1.5h</c>, <c>250ms</c>, <c>0</c>.</summary>
internal static class GoDuration
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789.");

    // Longest name first, so that "ms" is not read as minutes.
    private static readonly (string Unit, double Milliseconds)[] Units =
        [("ms", 1), ("us", 1e-3), ("µs", 1e-3), ("ns", 1e-6), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

    /// <summary>Parses; a leading minus is Go's syntax too.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        bool negative = text.StartsWith('-');
        ReadOnlySpan<char> rest = text.AsSpan(negative ? 1 : 0);
        if (rest is "0")
        {
            return true;
        }

        if (rest.IsEmpty)
        {
            return false;
        }

        double milliseconds = 0;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExcept(Digits);
            if (digits <= 0
                || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                || !TakeUnit(ref rest, digits, out double unit))
            {
                return false;
            }

            milliseconds += number * unit;
        }

        if (milliseconds > TimeSpan.MaxValue.TotalMilliseconds / 2)
        {
            return false;
        }

        duration = TimeSpan.FromMilliseconds(negative ? -milliseconds : milliseconds);
        return true;
    }

    /// <summary>As Go prints it: <c>24h0m0s</c>, <c>1m30s</c>, <c>1.5s</c>, <c>250ms</c>, <c>0s</c>. Microseconds and less are not kept.</summary>
    public static string Format(TimeSpan duration)
    {
        if (duration < TimeSpan.Zero)
        {
            return $"-{Format(duration.Negate())}";
        }

        if (duration > TimeSpan.Zero && duration < TimeSpan.FromSeconds(1))
        {
            return string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMilliseconds:0.###}ms");
        }

        string seconds = string.Create(CultureInfo.InvariantCulture, $"{duration.TotalSeconds % 60:0.###}s");
        string minutes = duration.TotalMinutes >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{duration.Minutes}m") : "";
        return duration.TotalHours >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{(long)duration.TotalHours}h{minutes}{seconds}") : minutes + seconds;
    }

    private static bool TakeUnit(ref ReadOnlySpan<char> text, int at, out double milliseconds)
    {
        foreach ((string unit, double value) in Units)
        {
            if (text[at..].StartsWith(unit, StringComparison.Ordinal))
            {
                text = text[(at + unit.Length)..];
                milliseconds = value;
                return true;
            }
        }

        milliseconds = 0;
        return false;
    }
}
