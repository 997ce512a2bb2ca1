using System.Diagnostics.Metrics;
using ClusterLb.Agent.Metrics;

namespace ClusterLb.Tests.Agent.Metrics;

public sealed class PrometheusTextTests
{
    [Fact]
    public void Writes_counters_gauges_and_histograms_with_labels()
    {
        using var meter = new Meter("test");
        using var text = new PrometheusText(meter);
        Counter<long> counter = meter.CreateCounter<long>("a_total", null, "Counted.");
        meter.CreateObservableGauge("b", () => new Measurement<double>(0.5, new KeyValuePair<string, object?>("name", "x\"y\\z")), null, "Observed.");
        Histogram<double> histogram = meter.CreateHistogram<double>("c_seconds", "s", "Lasted.", null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] });
        counter.Add(2, new KeyValuePair<string, object?>("code", 200));
        counter.Add(3, new KeyValuePair<string, object?>("code", 200));
        counter.Add(1, new KeyValuePair<string, object?>("code", 503));
        histogram.Record(0.05);
        histogram.Record(0.5);
        histogram.Record(7);

        Assert.Equal(
            """
            # HELP a_total Counted.
            # TYPE a_total counter
            a_total{code="200"} 5
            a_total{code="503"} 1
            # HELP b Observed.
            # TYPE b gauge
            b{name="x\"y\\z"} 0.5
            # HELP c_seconds Lasted.
            # TYPE c_seconds histogram
            c_seconds_bucket{le="0.1"} 1
            c_seconds_bucket{le="1"} 2
            c_seconds_bucket{le="+Inf"} 3
            c_seconds_sum 7.55
            c_seconds_count 3

            """,
            text.Write());
    }

    [Fact]
    public void An_observed_counter_shows_its_last_value_not_a_sum()
    {
        using var meter = new Meter("test");
        using var text = new PrometheusText(meter);
        meter.CreateObservableCounter("a_total", () => 7L, null, "Observed.");
        text.Write();
        Assert.Contains("a_total 7\n", text.Write());
    }

    [Fact]
    public void Another_agents_instruments_do_not_appear()
    {
        using var mine = new Meter("same name");
        using var other = new Meter("same name");
        using var text = new PrometheusText(mine);
        other.CreateCounter<long>("other_total").Add(1);
        Assert.Empty(text.Write());
    }
}
