using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ClusterLb.Agent.Explain;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Agent.Admin;

/// <summary>Asks a running agent: HTTP over DIR/admin.sock, which root and the group of the configuration may open.</summary>
public sealed class AdminClient : IDisposable
{
    private readonly string _socketPath;
    private readonly HttpClient _http;

    /// <summary>A client of the agent with this state directory. Nothing is connected yet.</summary>
    public AdminClient(string stateDirectory)
    {
        _socketPath = SocketPath(stateDirectory);
        var handler = new SocketsHttpHandler { UseProxy = false, ConnectCallback = (_, cancellation) => ConnectAsync(_socketPath, cancellation) };
        _http = new HttpClient(handler, disposeHandler: true) { BaseAddress = new Uri("http://clusterlb/"), Timeout = TimeSpan.FromSeconds(30) };
    }

    /// <summary>DIR/admin.sock.</summary>
    public static string SocketPath(string stateDirectory) => Path.Combine(stateDirectory, "admin.sock");

    /// <summary>GET /status.</summary>
    /// <exception cref="AdminException">No agent answers, or not as it should.</exception>
    public Task<AgentStatus> StatusAsync(CancellationToken cancellation = default) =>
        SendAsync(HttpMethod.Get, "status", null, AdminJson.Default.AgentStatus, cancellation);

    /// <summary>GET /sync/trace: where the time of the last changes went.</summary>
    /// <exception cref="AdminException">No agent answers, or not as it should.</exception>
    public Task<SyncTraceReport> SyncTraceAsync(CancellationToken cancellation = default) =>
        SendAsync(HttpMethod.Get, "sync/trace", null, AdminJson.Default.SyncTraceReport, cancellation);

    /// <summary>GET /decisions: how the compiler came to the backends of a service port.</summary>
    /// <param name="servicePort"><c>namespace/name:port</c>, without the colon for an unnamed port.</param>
    /// <param name="protocol">TCP, UDP, SCTP.</param>
    /// <param name="isIpv4">The family.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="AdminException">No agent answers, or it does not know the port.</exception>
    public async Task<BackendDecisions> DecisionsAsync(string servicePort, string protocol, bool isIpv4, CancellationToken cancellation = default)
    {
        string query = $"decisions?service={Uri.EscapeDataString(servicePort)}&protocol={Uri.EscapeDataString(protocol)}&family={(isIpv4 ? "IPv4" : "IPv6")}";
        BackendDecisions answer = await SendAsync(HttpMethod.Get, query, null, AdminJson.Default.BackendDecisions, cancellation);
        return answer.Backends is null ? throw new AdminException($"The agent at {_socketPath} does not know service port {servicePort}.") : answer;
    }

    /// <summary>POST /conntrack/flush: forgets flows.</summary>
    /// <returns>How many were forgotten.</returns>
    /// <exception cref="AdminException">It was not done.</exception>
    public async Task<long> FlushConntrackAsync(FlushRequest which, CancellationToken cancellation = default) =>
        (await PostAsync("conntrack/flush", JsonContent.Create(which, AdminJson.Default.FlushRequest), cancellation)).Count;

    /// <summary>POST /dataplane/stop: the dataplane ends and stays so until it is started again. Packets wait, then are dropped.</summary>
    /// <exception cref="AdminException">It was not done.</exception>
    public Task<AdminAnswer> StopDataplaneAsync(CancellationToken cancellation = default) => PostAsync("dataplane/stop", null, cancellation);

    /// <summary>POST /dataplane/start.</summary>
    /// <exception cref="AdminException">It was not done.</exception>
    public Task<AdminAnswer> StartDataplaneAsync(CancellationToken cancellation = default) => PostAsync("dataplane/start", null, cancellation);

    /// <summary>POST /resync: compare everything and repair what differs, maps and steering, now.</summary>
    /// <exception cref="AdminException">It was not done.</exception>
    public Task<AdminAnswer> ResyncAsync(CancellationToken cancellation = default) => PostAsync("resync", null, cancellation);

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<AdminAnswer> PostAsync(string path, HttpContent? content, CancellationToken cancellation)
    {
        AdminAnswer answer = await SendAsync(HttpMethod.Post, path, content, AdminJson.Default.AdminAnswer, cancellation);
        return answer.Done ? answer : throw new AdminException(answer.Message);
    }

    private async Task<T> SendAsync<T>(
        HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = content };
            using HttpResponseMessage response = await _http.SendAsync(request, cancellation);
            T? answer = await response.Content.ReadFromJsonAsync(type, cancellation);
            return answer ?? throw new AdminException($"The agent at {_socketPath} answered {(int)response.StatusCode} without a body.");
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException socket)
        {
            throw new AdminException(Explain(socket), e);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or IOException)
        {
            throw new AdminException($"The agent at {_socketPath} did not answer as expected: {e.Message}", e);
        }
        catch (TaskCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new AdminException($"The agent at {_socketPath} did not answer within {_http.Timeout.TotalSeconds} seconds.", e);
        }
    }

    private string Explain(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.AccessDenied => $"Not allowed to open {_socketPath}: run as root, or as a member of the group that owns it.",
        SocketError.ConnectionRefused => $"Nobody listens on {_socketPath}: the agent has ended. Traffic goes on as it was.",
        SocketError.AddressNotAvailable => // ENOENT
            $"No agent runs here: there is no socket {_socketPath}. Start the agent, or name its directory with --state-dir.",
        _ => $"Cannot open {_socketPath} ({e.Message}): no agent runs with this state directory (--state-dir).",
    };

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
