using System.Net;
using System.Net.Http.Headers;
using System.Threading.Channels;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Writes events.k8s.io/v1 Events, so that <c>kubectl describe</c> of an object says what is wrong with it.</summary>
/// <remarks>
/// Thread-safe and never waiting: what does not fit into the queue, or comes too fast, is dropped and counted. The same event again
/// within some minutes is one series whose count is brought up to date now and then. Nodes that say the same of an object share one event:
/// the first one writes it, the others find it there.
/// </remarks>
internal sealed class EventRecorder : IEventSink
{
    private const int QueueLength = 256;
    private const int MaxSeries = 1024;
    private const int Burst = 25; // then one in RefillPeriod: a cluster full of bad objects must not flood its own API server
    private const int MaxTries = 5;

    private static readonly TimeSpan RefillPeriod = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FlushPeriod = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan SeriesEnd = TimeSpan.FromMinutes(6); // as client-go
    private static readonly TimeSpan ErrorEnd = TimeSpan.FromMinutes(5);

    private readonly Channel<WarningEvent> _queue = Channel.CreateBounded<WarningEvent>(
        new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });

    private readonly Dictionary<WarningEvent, EventSeries> _series = [];
    private readonly ApiClient _client;
    private readonly TimeProvider _time;
    private double _tokens = Burst;
    private long _refilledAt;
    private long _dropped;
    private volatile string _lastError = "";
    private long _failedAt; // when it was set

    public EventRecorder(ApiClient client, TimeProvider time)
    {
        _client = client;
        _time = time;
        _refilledAt = time.GetTimestamp();
    }

    /// <summary>Events that were not written.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Why the last one was not written; empty if it was, or if that was some minutes ago.</summary>
    public string LastError => _lastError;

    /// <inheritdoc/>
    public void Warn(string kind, ObjectName name, string reason, string note)
    {
        if (!_queue.Writer.TryWrite(new WarningEvent(kind, name, reason, note)))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    /// <summary>Writes events until cancelled. Once.</summary>
    /// <param name="instance">Who reports: the name of the node.</param>
    /// <param name="uidOf">metadata.uid of an object; <c>kubectl describe</c> looks for it.</param>
    /// <param name="cancellation">Ends it; what is queued is lost.</param>
    public async Task RunAsync(string instance, Func<string, ObjectName, Guid?> uidOf, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                using (var timer = new CancellationTokenSource(FlushPeriod, _time))
                using (var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation))
                {
                    try
                    {
                        await _queue.Reader.WaitToReadAsync(both.Token);
                    }
                    catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
                    {
                        // Time to flush.
                    }
                }

                while (_queue.Reader.TryRead(out WarningEvent? warning))
                {
                    await TakeAsync(warning, instance, uidOf, cancellation);
                }

                await FlushAsync(cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    private async Task TakeAsync(WarningEvent warning, string instance, Func<string, ObjectName, Guid?> uidOf, CancellationToken cancellation)
    {
        if (_series.TryGetValue(warning, out EventSeries? known))
        {
            known.Count++;
            known.LastAt = _time.GetUtcNow();
            return;
        }

        if (_series.Count >= MaxSeries || !TryTakeToken())
        {
            Interlocked.Increment(ref _dropped);
            return;
        }

        DateTimeOffset now = _time.GetUtcNow();
        var series = new EventSeries(warning, now, uidOf(warning.Kind, warning.Name));
        if (await WriteAsync(HttpMethod.Post, series.CollectionPath, series.ToJson(instance), "application/json", cancellation)
            is HttpStatusCode.Created or HttpStatusCode.OK or HttpStatusCode.Conflict) // another node was first
        {
            _series.Add(warning, series);
        }
    }

    /// <summary>Tells the counts that grew, and forgets series that ended.</summary>
    private async Task FlushAsync(CancellationToken cancellation)
    {
        if (_lastError.Length > 0 && _time.GetElapsedTime(_failedAt) >= ErrorEnd)
        {
            _lastError = ""; // nothing has waited to be written since; how many were dropped stays
        }

        DateTimeOffset now = _time.GetUtcNow();
        foreach ((WarningEvent warning, EventSeries series) in _series.ToArray())
        {
            bool isOver = now - series.LastAt >= SeriesEnd;
            if (series.Count > series.WrittenCount && (isOver || now - series.WrittenAt >= FlushPeriod) && TryTakeToken())
            {
                HttpStatusCode? answer = await WriteAsync(
                    HttpMethod.Patch, series.CollectionPath + "/" + series.Name, series.ToPatch(), "application/merge-patch+json", cancellation);
                isOver |= answer == HttpStatusCode.NotFound; // events live an hour; the next one is a new one
                series.WrittenCount = series.Count;
                series.WrittenAt = now;
            }

            if (isOver)
            {
                _series.Remove(warning);
            }
        }
    }

    /// <summary>Sends one request, a few times if need be.</summary>
    /// <returns>The status; null if it was given up.</returns>
    private async Task<HttpStatusCode?> WriteAsync(HttpMethod method, string path, byte[] json, string type, CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                using var content = new ByteArrayContent(json) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
                using HttpResponseMessage response = await _client.SendAsync(
                    method, path, method == HttpMethod.Post ? "create events" : "patch events", content, cancellation);
                _lastError = "";
                return response.StatusCode;
            }
            catch (ApiException e) when (e.Status == HttpStatusCode.Conflict && method == HttpMethod.Post)
            {
                _lastError = "";
                return e.Status;
            }
            catch (ApiException e)
            {
                _failedAt = _time.GetTimestamp();
                _lastError = e.Message;
                bool isTemporary = e.Status is null or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError;
                if (!isTemporary || attempt >= MaxTries)
                {
                    Interlocked.Increment(ref _dropped);
                    return e.Status;
                }
            }

            await Task.Delay(RetryPeriod, _time, cancellation);
        }
    }

    private bool TryTakeToken()
    {
        long now = _time.GetTimestamp();
        _tokens = Math.Min(Burst, _tokens + (_time.GetElapsedTime(_refilledAt, now) / RefillPeriod));
        _refilledAt = now;
        if (_tokens < 1)
        {
            return false;
        }

        _tokens--;
        return true;
    }
}
