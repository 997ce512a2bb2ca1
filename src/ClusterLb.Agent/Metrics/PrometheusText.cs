using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace ClusterLb.Agent.Metrics;

/// <summary>Collects the instruments of one meter and writes them in Prometheus' text format 0.0.4.</summary>
/// <remarks>Thread-safe. Observed instruments are asked when the text is written, all others add up as they are used.</remarks>
internal sealed class PrometheusText : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, SortedDictionary<string, MetricSeries>> _families = new(StringComparer.Ordinal);

    /// <summary>Listens to <paramref name="meter"/>, and to no other agent's in the same process.</summary>
    public PrometheusText(Meter meter)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument.Meter, meter))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>The content type of the text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>All series.</summary>
    public string Write()
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder();
        lock (_lock)
        {
            foreach ((string name, SortedDictionary<string, MetricSeries> family) in _families)
            {
                Instrument instrument = family.Values.First().Instrument;
                text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {EscapeHelp(instrument.Description ?? "")}\n# TYPE {name} {TypeOf(instrument)}\n");
                foreach (MetricSeries series in family.Values)
                {
                    Write(text, name, series);
                }
            }
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = new StringBuilder();
        foreach ((string key, object? tag) in tags)
        {
            labels.Append(labels.Length == 0 ? "" : ",").Append(key).Append("=\"").Append(Escape(tag?.ToString() ?? "")).Append('"');
        }

        lock (_lock)
        {
            if (!_families.TryGetValue(instrument.Name, out SortedDictionary<string, MetricSeries>? family))
            {
                _families[instrument.Name] = family = new SortedDictionary<string, MetricSeries>(StringComparer.Ordinal);
            }

            string key = labels.ToString();
            if (!family.TryGetValue(key, out MetricSeries? series))
            {
                family[key] = series = new MetricSeries(instrument, key);
            }

            series.Take(value);
        }
    }

    private static void Write(StringBuilder text, string name, MetricSeries series)
    {
        if (series.Instrument is not Histogram<double>)
        {
            Line(text, name, series.Labels, series.Value);
            return;
        }

        string before = series.Labels.Length == 0 ? "" : series.Labels + ",";
        foreach ((double bound, long count) in series.Buckets())
        {
            Line(text, name + "_bucket", $"{before}le=\"{Number(bound)}\"", count);
        }

        Line(text, name + "_bucket", before + "le=\"+Inf\"", series.Count);
        Line(text, name + "_sum", series.Labels, series.Value);
        Line(text, name + "_count", series.Labels, series.Count);
    }

    private static void Line(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string TypeOf(Instrument instrument) => instrument switch
    {
        Histogram<double> => "histogram",
        Counter<long> or Counter<double> or ObservableCounter<long> or ObservableCounter<double> => "counter",
        _ => "gauge",
    };

    private static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private static string EscapeHelp(string help) =>
        help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Escape(string label) =>
        label.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
