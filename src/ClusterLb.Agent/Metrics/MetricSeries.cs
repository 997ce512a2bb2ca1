using System.Diagnostics.Metrics;

namespace ClusterLb.Agent.Metrics;

/// <summary>The value of one instrument with one set of labels.</summary>
internal sealed class MetricSeries(Instrument instrument, string labels)
{
    private readonly double[] _bounds = (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries?.ToArray() ?? [];
    private long[]? _counts;

    /// <summary>Where it comes from.</summary>
    public Instrument Instrument => instrument;

    /// <summary><c>a="1",b="2"</c>, or empty.</summary>
    public string Labels => labels;

    /// <summary>Sum of a counter or histogram, last value of a gauge or an observed counter.</summary>
    public double Value { get; private set; }

    /// <summary>Measurements of a histogram.</summary>
    public long Count { get; private set; }

    /// <summary>Upper bounds and how many measurements lie at or below, without the infinite one.</summary>
    public IEnumerable<(double Bound, long Count)> Buckets()
    {
        long sum = 0;
        for (int i = 0; i < _bounds.Length; i++)
        {
            yield return (_bounds[i], sum += _counts?[i] ?? 0);
        }
    }

    /// <summary>Takes a measurement. The caller locks.</summary>
    public void Take(double measurement)
    {
        bool adds = instrument is Counter<long> or Counter<double> or Histogram<double>;
        Value = adds ? Value + measurement : measurement;
        if (instrument is not Histogram<double>)
        {
            return;
        }

        Count++;
        _counts ??= new long[_bounds.Length];
        int bucket = Array.FindIndex(_bounds, bound => measurement <= bound);
        if (bucket >= 0)
        {
            _counts[bucket]++;
        }
    }
}
