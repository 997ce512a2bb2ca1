using System.Diagnostics.Metrics;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Requests to the API server, under the names and labels that every Kubernetes client has. Thread-safe.</summary>
public sealed class RestClientMetrics
{
    // client-go's, in seconds.
    private static readonly double[] Buckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

    private readonly Counter<long> _requests;
    private readonly Histogram<double> _duration;

    /// <summary>Adds the instruments.</summary>
    public RestClientMetrics(Meter meter)
    {
        ArgumentNullException.ThrowIfNull(meter);
        _requests = meter.CreateCounter<long>("rest_client_requests_total", null, "Requests to the API server, by status code, method and host.");
        _duration = meter.CreateHistogram<double>(
            "rest_client_request_duration_seconds", "s", "Time from a request to the head of its answer, by verb and host.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
    }

    /// <summary>One request ended, or failed without an answer (<paramref name="code"/> 0).</summary>
    internal void Record(string method, string host, int code, TimeSpan duration)
    {
        _requests.Add(
            1,
            new("code", code == 0 ? "<error>" : code.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            new("method", method),
            new("host", host));
        _duration.Record(duration.TotalSeconds, new("verb", method), new KeyValuePair<string, object?>("host", host));
    }
}
