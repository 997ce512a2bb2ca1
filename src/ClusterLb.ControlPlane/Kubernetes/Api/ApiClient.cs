using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>HTTP to the API server: one request at a time of its caller, HTTP/2 where offered, with credentials, limits and metrics.</summary>
/// <remarks>Thread-safe. Tries nothing again by itself; after a failure the next request goes to the next server of the list.</remarks>
internal sealed class ApiClient : IDisposable
{
    private const int MaxErrorBytes = 65_536;
    private const int StreamWindow = 1 << 20; // bytes the server may send ahead, per request

    private readonly ApiConnection _connection;
    private readonly ApiTimes _times;
    private readonly RestClientMetrics? _metrics;
    private readonly HttpClient _http;
    private int _server; // index in Servers; grows for ever

    public ApiClient(ApiConnection connection, ApiTimes times, RestClientMetrics? metrics = null)
    {
        _connection = connection;
        _times = times;
        _metrics = metrics;
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.GZip,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false, // credentials go to nobody else
            ConnectTimeout = times.Connect,
            ConnectCallback = ConnectAsync,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingDelay = times.Ping,
            KeepAlivePingTimeout = times.PingAnswer,
            InitialHttp2StreamWindowSize = StreamWindow,
            ActivityHeadersPropagator = null,
        };
        _http = new HttpClient(handler)
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        _http.DefaultRequestHeaders.UserAgent.ParseAdd(UserAgent);
    }

    /// <summary>How the client names itself.</summary>
    public static string UserAgent { get; } =
        $"clusterlb/{typeof(ApiClient).Assembly.GetName().Version?.ToString(3)} " +
        $"(linux/{(RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "amd64" : "arm64")})";

    /// <summary>As whom requests are made.</summary>
    public string Identity => _connection.Identity;

    /// <summary>Host and port of the server that the next request goes to.</summary>
    public string Server => ApiConnection.NameOf(CurrentServer);

    private Uri CurrentServer => Servers(Volatile.Read(ref _server));

    /// <summary>Sends a request and waits for the head of its answer.</summary>
    /// <param name="method">GET and so on.</param>
    /// <param name="path">Path and query, without a slash in front.</param>
    /// <param name="action">What this is for, such as <c>list services</c>.</param>
    /// <param name="content">Body, or null.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>A 2xx answer whose body is still to be read.</returns>
    /// <exception cref="ApiException">No answer, or a refusal.</exception>
    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, string action, HttpContent? content, CancellationToken cancellation)
    {
        int index = Volatile.Read(ref _server);
        Uri server = Servers(index);
        long start = Stopwatch.GetTimestamp();
        int code = 0;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(_times.Answer);
        try
        {
            using var request = new HttpRequestMessage(method, new Uri(server, path))
            {
                Content = content,
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
            };
            if (_connection.Token is { } token)
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Read().Trim());
            }

            HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            code = (int)response.StatusCode;
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            using (response)
            {
                throw await RefusalAsync(response, action, limit.Token);
            }
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            Leave(index);
            throw new ApiException($"Cannot {action}: no answer from {ApiConnection.NameOf(server)} within {_times.Answer.TotalSeconds:0.#} s.", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or ApiConnectionException or FormatException)
        {
            Leave(index);
            throw new ApiException($"Cannot {action}: {ApiConnection.NameOf(server)}: {Innermost(e)}", e);
        }
        catch (ApiException e) when (e.Status is >= HttpStatusCode.InternalServerError && !e.NeedsList)
        {
            Leave(index);
            throw;
        }
        finally
        {
            _metrics?.Record(method.Method, ApiConnection.NameOf(server), code, Stopwatch.GetElapsedTime(start));
        }
    }

    /// <summary>The next request goes to the next server of the list, unless another failure has moved on since.</summary>
    /// <param name="server">Who refused (<see cref="Server"/>).</param>
    public void Leave(string server)
    {
        int index = Volatile.Read(ref _server);
        if (ApiConnection.NameOf(Servers(index)) == server)
        {
            Leave(index);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private Uri Servers(int index) => _connection.Servers[(int)((uint)index % (uint)_connection.Servers.Length)];

    /// <summary>The next request goes to the next server; of several that failed together, only the first moves on.</summary>
    private void Leave(int index) => Interlocked.CompareExchange(ref _server, index + 1, index);

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // HTTP/2 has its own pings; this finds a dead connection of HTTP/1.1.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, (int)Math.Ceiling(_times.Ping.TotalSeconds));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return await ServerTls.AuthenticateAsync(new NetworkStream(socket, ownsSocket: true), _connection, context.DnsEndPoint.Host, cancellation);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<ApiException> RefusalAsync(HttpResponseMessage response, string action, CancellationToken cancellation)
    {
        RetryConditionHeaderValue? retry = response.Headers.RetryAfter;
        TimeSpan? wait = retry?.Delta;
        byte[] body = [];
        try
        {
            await using Stream stream = await response.Content.ReadAsStreamAsync(cancellation);
            var bytes = new byte[MaxErrorBytes];
            int length = await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellation);
            body = bytes[..length];
        }
        catch (Exception e) when (e is IOException or HttpRequestException or InvalidDataException)
        {
            // The status says enough.
        }

        return ApiStatusReader.Read(response.StatusCode, body, action, Identity, wait);
    }

    /// <summary>HttpClient wraps what happened twice, and says nothing by itself.</summary>
    private static string Innermost(Exception e)
    {
        while (e is HttpRequestException && e.InnerException is { } inner)
        {
            e = inner;
        }

        return e is ApiException or ApiConnectionException ? e.Message : e.InnerException is { } cause ? $"{e.Message} {cause.Message}" : e.Message;
    }
}
