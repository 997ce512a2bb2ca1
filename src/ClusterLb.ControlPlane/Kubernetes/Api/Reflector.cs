using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Follows one resource for ever: reads all objects, then watches, resumes where it was, and reads all again where it must.</summary>
/// <remarks>
/// <code>
///          ┌──────── 410, undecodable, resource version from the future ────────┐
///          ▼                                                                    │
///   list (streamed; else in pages) ──▶ watch from a resource version ──▶ end ───┤
///          ▲        │ failure                    ▲         failure, end of time │
///          └─ wait ─┘                            └──────────── wait ────────────┘
/// </code>
/// Objects stay in the target through all of this; only a complete list takes away what it does not have. One task.
/// </remarks>
internal sealed class Reflector
{
    private const int PageSize = 500; // as client-go: some MB of slices
    private const int MaxBrokenStreams = 3;
    private const int ReadSize = 64 * 1024; // bytes; HTTP/2 frames have 16 KiB
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(1);

    /// <summary>A refusal comes as an event right behind the head of the answer: a watch that is silent for so long was accepted.</summary>
    internal static readonly TimeSpan Accepted = TimeSpan.FromMilliseconds(250);

    private readonly ApiClient _client;
    private readonly IReflectorTarget _target;
    private readonly ApiTimes _times;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Backoff _backoff;
    private readonly TaskCompletionSource _listed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ApiResourceStatus _status;
    private string? _version; // everything up to it is in the target; null: a list is needed
    private (string Server, long At) _noStreams = ("", 0); // the server that showed that it cannot stream lists, and when
    private int _brokenStreams;

    public Reflector(ApiClient client, ApiResource resource, IReflectorTarget target, ApiTimes times, TimeProvider time, Random random)
    {
        _client = client;
        Resource = resource;
        _target = target;
        _times = times;
        _time = time;
        _random = random;
        _backoff = new Backoff(times.MinBackoff, times.MaxBackoff, random);
        _status = new ApiResourceStatus(resource.Plural, ApiWatchState.Listing, time.GetUtcNow(), 0, "");
    }

    /// <summary>Raised after every change of <see cref="Status"/>, by the task that runs.</summary>
    public event Action<ApiResourceStatus>? Changed;

    /// <summary>What is followed.</summary>
    public ApiResource Resource { get; }

    /// <summary>How it stands. Any thread.</summary>
    public ApiResourceStatus Status => _status with { Objects = _target.Count };

    /// <summary>Done when the first list is complete.</summary>
    public Task Listed => _listed.Task;

    /// <summary>Done when the first list is complete, or will not come soon.</summary>
    public Task Settled => _settled.Task;

    private bool Streams => _noStreams.Server != _client.Server || _time.GetElapsedTime(_noStreams.At) >= _times.Streams;

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                TimeSpan wait = await RoundAsync(cancellation);
                if (wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait, _time, cancellation);
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    /// <summary>One list or watch, until it ends.</summary>
    /// <returns>How long to wait before the next.</returns>
    private async Task<TimeSpan> RoundAsync(CancellationToken cancellation)
    {
        string server = _client.Server;
        try
        {
            if (_version is null && !Streams)
            {
                await ListAsync(cancellation);
            }

            return await WatchAsync(cancellation);
        }
        catch (ApiException e) when (e.NeedsList)
        {
            _version = null;
            return Failed(e.Message, _backoff.Expired());
        }
        catch (ApiException e) when (e.IsBadRequest && _version is null && Streams)
        {
            GiveStreamsUp(); // an older server: in pages, at once
            return TimeSpan.Zero;
        }
        catch (ApiException e) when (e.IsNotFound && !Resource.IsNeeded)
        {
            _target.NotOffered();
            TimeSpan wait = Failed(e.Message, _times.NotOffered);
            Set(ApiWatchState.NotOffered, e.Message);
            return wait;
        }
        catch (ApiException e)
        {
            if (e.IsOfThisServer && Resource.IsNeeded)
            {
                _client.Leave(server);
            }

            TimeSpan wait = _backoff.Next();
            return Failed(e.Message, e.RetryAfter > wait ? e.RetryAfter.Value : wait);
        }
        catch (JsonException e)
        {
            _version = null;
            return Failed($"Cannot read {Resource.Plural}: what the server sent is not understood: {e.Message} All objects are read again.", _backoff.Next());
        }
        catch (Exception e) when (e is IOException or HttpRequestException or InvalidDataException)
        {
            return Failed($"Cannot read {Resource.Plural}: the connection to {_client.Server} broke: {e.Message}", _backoff.Next());
        }
    }

    private async Task ListAsync(CancellationToken cancellation)
    {
        Set(ApiWatchState.Listing, _status.LastError);
        _target.BeginList();
        int limit = PageSize;
        string next = "";
        string version;
        do
        {
            ListPage page;
            try
            {
                page = await PageAsync(Resource.ListPath(limit, next), cancellation);
            }
            catch (ApiException e) when (e.NeedsList && next.Length > 0)
            {
                // The list took longer than its version lives: all at once, which needs no continuation.
                limit = 0;
                next = "";
                continue;
            }

            version = page.ResourceVersion;
            next = page.Continue;
            if (next.Length == 0)
            {
                Complete(version);
                return;
            }
        }
        while (true);
    }

    private async Task<ListPage> PageAsync(string path, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await _client.SendAsync(HttpMethod.Get, path, $"list {Resource.Plural}", null, cancellation);
        PipeReader pipe = await OpenAsync(response, cancellation);
        using var limit = new SilenceLimit(cancellation);
        var page = new ListPage();
        try
        {
            long received = 0;
            Action<JsonElement> put = item => _target.Put(item, received);
            while (!page.IsComplete)
            {
                ReadResult read = await limit.ReadAsync(pipe, _times.Silence, $"list {Resource.Plural}", _client.Server);
                received = _time.GetTimestamp();
                SequencePosition used = page.Take(read.Buffer, read.IsCompleted, put);
                pipe.AdvanceTo(used, read.Buffer.End);
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }

        return page;
    }

    /// <summary>Watches until the server ends it. Without a resource version all objects come first.</summary>
    private async Task<TimeSpan> WatchAsync(CancellationToken cancellation)
    {
        bool isList = _version is null;
        TimeSpan length = TimeSpan.FromSeconds(Math.Ceiling(_times.Watch.TotalSeconds * (1 + _random.NextDouble()))); // the API counts whole ones
        string path = isList ? Resource.StreamPath(length) : Resource.WatchPath(_version!, length);
        if (isList)
        {
            Set(ApiWatchState.Listing, _status.LastError);
        }

        using HttpResponseMessage response = await _client.SendAsync(HttpMethod.Get, path, $"watch {Resource.Plural}", null, cancellation);
        PipeReader pipe = await OpenAsync(response, cancellation);
        long start = _time.GetTimestamp();
        long events = 0;
        try
        {
            if (isList)
            {
                _target.BeginList();
            }

            using var limit = new SilenceLimit(cancellation);
            while (true)
            {
                // A list that is silent is stuck; a watch may be silent until its time is over, for its connection is pinged.
                TimeSpan left = length + _times.WatchGrace - _time.GetElapsedTime(start);
                ValueTask<ReadResult> reading = limit.ReadAsync(pipe, _version is null ? _times.Silence : left, $"watch {Resource.Plural}", _client.Server);
                ReadResult read = await (_version is not null && _status.State != ApiWatchState.Watching ? AcceptedAsync(reading.AsTask()) : reading);
                long received = _time.GetTimestamp();
                ReadOnlySequence<byte> rest = read.Buffer;
                while (JsonLine.TryTake(ref rest, out ReadOnlySequence<byte> line))
                {
                    events += line.Length > 0 ? 1 : 0;
                    Apply(line, received);
                }

                if (read.IsCompleted)
                {
                    break; // half a line behind the last one comes again, after the resource version that we have
                }

                pipe.AdvanceTo(rest.Start, rest.End);
            }
        }
        catch (Exception e) when (isList && _version is null && e is not OperationCanceledException)
        {
            CountBrokenStream();
            throw;
        }
        finally
        {
            if (_version is not null && _time.GetElapsedTime(start) >= Short)
            {
                _backoff.Reset(); // also without an event
            }

            await pipe.CompleteAsync();
        }

        if (_version is null)
        {
            CountBrokenStream();
            return Failed($"Cannot list {Resource.Plural}: the stream ended before all objects had come.", _backoff.Next());
        }

        TimeSpan lasted = _time.GetElapsedTime(start);
        return lasted >= length * 0.9 ? TimeSpan.Zero // the server's clock began a little earlier
            : lasted < Short && events == 0 ? Failed($"Cannot watch {Resource.Plural}: {_client.Server} ends the watch at once.", _backoff.Next())
            : _backoff.Spread(); // a server that goes ends all its watches
    }

    /// <summary>Waits for the first event of a watch; when none comes at once, that says too that it was accepted.</summary>
    private async ValueTask<ReadResult> AcceptedAsync(Task<ReadResult> reading)
    {
        try
        {
            return await reading.WaitAsync(Accepted, _time);
        }
        catch (TimeoutException) when (!reading.IsFaulted)
        {
            Set(ApiWatchState.Watching, "");
            return await reading;
        }
    }

    private void Apply(in ReadOnlySequence<byte> line, long received)
    {
        if (line.IsEmpty)
        {
            return;
        }

        using JsonDocument document = JsonLine.Parse(line, out WatchEvent type, out JsonElement item);
        switch (type)
        {
            case WatchEvent.Put:
                _target.Put(item, received);
                break;
            case WatchEvent.Delete:
                _target.Remove(item, received);
                break;
            case WatchEvent.Error:
                throw ApiStatusReader.Read(item, $"watch {Resource.Plural}", _client.Identity);
        }

        JsonElement metadata = item.Field("metadata");
        if (_version is not null)
        {
            _backoff.Reset();
            Set(ApiWatchState.Watching, "");
            _version = metadata.TryText("resourceVersion", out string? version) && version.Length > 0 ? version : _version;
        }
        else if (type == WatchEvent.Bookmark && metadata.Field("annotations").TryText("k8s.io/initial-events-end", out string? isEnd) && isEnd == "true")
        {
            _brokenStreams = 0;
            Complete(metadata.TryText("resourceVersion", out string? version) ? version : "");
            Set(ApiWatchState.Watching, "");
        }
    }

    private void Complete(string version)
    {
        if (version.Length == 0)
        {
            throw new JsonException("The list has no resource version.");
        }

        _target.EndList();
        _version = version;
        _listed.TrySetResult();
        _settled.TrySetResult();
    }

    private void CountBrokenStream()
    {
        if (++_brokenStreams >= MaxBrokenStreams)
        {
            GiveStreamsUp();
        }
    }

    private void GiveStreamsUp()
    {
        _noStreams = (_client.Server, _time.GetTimestamp());
        _brokenStreams = 0;
    }

    private TimeSpan Failed(string error, TimeSpan wait)
    {
        Set(ApiWatchState.Waiting, error);
        _settled.TrySetResult();
        return wait;
    }

    private void Set(ApiWatchState state, string error)
    {
        ApiResourceStatus before = _status;
        if (before.State == state && before.LastError == error)
        {
            return;
        }

        _status = new ApiResourceStatus(Resource.Plural, state, before.State == state ? before.Since : _time.GetUtcNow(), 0, error);
        Changed?.Invoke(Status);
    }

    private static async Task<PipeReader> OpenAsync(HttpResponseMessage response, CancellationToken cancellation) =>
        PipeReader.Create(await response.Content.ReadAsStreamAsync(cancellation), new StreamPipeReaderOptions(bufferSize: ReadSize, minimumReadSize: ReadSize / 4));
}
