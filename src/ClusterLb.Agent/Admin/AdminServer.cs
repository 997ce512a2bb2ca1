using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ClusterLb.Agent.Explain;
using ClusterLb.Agent.Http;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Host;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Admin;

/// <summary>The admin API: HTTP on DIR/admin.sock, for root and one group. Changes are logged.</summary>
internal sealed class AdminServer : IAsyncDisposable
{
    private const UnixFileMode SocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private readonly IAdminTarget _target;
    private readonly ILogger _log;
    private readonly string _path;
    private readonly string _bindPath;
    private readonly uint? _group;
    private readonly HttpEndpoint _endpoint;

    /// <summary>A server that does not listen yet.</summary>
    /// <param name="stateDirectory">DIR.</param>
    /// <param name="group">Id of the group that may open the socket; null for the process's own.</param>
    /// <param name="target">What requests act on.</param>
    /// <param name="log">One line per change asked for.</param>
    public AdminServer(string stateDirectory, uint? group, IAdminTarget target, ILogger log)
    {
        _target = target;
        _log = log;
        _group = group;
        _path = AdminClient.SocketPath(stateDirectory);
        _bindPath = _path + ".new";
        _endpoint = new HttpEndpoint(new UnixDomainSocketEndPoint(_bindPath), HandleAsync, log);
    }

    /// <summary>Listens. The socket appears under its name only when its owner and mode are right.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        File.Delete(_bindPath);
        await _endpoint.StartAsync(cancellation);
        if (_group is uint group)
        {
            AdminInterop.ChangeGroup(_bindPath, group);
        }

        File.SetUnixFileMode(_bindPath, SocketMode);
        File.Move(_bindPath, _path, overwrite: true);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        File.Delete(_path);
        await _endpoint.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context)
    {
        string request = $"{context.Request.Method} {context.Request.Path.Value}";
        CancellationToken aborted = context.RequestAborted;
        if (request == "GET /status")
        {
            await WriteAsync(context, StatusCodes.Status200OK, await _target.StatusAsync(aborted), AdminJson.Default.AgentStatus);
            return;
        }

        if (request == "GET /sync/trace")
        {
            await WriteAsync(context, StatusCodes.Status200OK, _target.SyncTrace(), AdminJson.Default.SyncTraceReport);
            return;
        }

        if (request == "GET /decisions")
        {
            await WriteDecisionsAsync(context);
            return;
        }

        AdminAnswer? answer;
        try
        {
            answer = request switch
            {
                "POST /conntrack/flush" => await FlushAsync(context),
                // Once begun they are done, whether or not the client waits for the answer.
                "POST /dataplane/stop" => await _target.StopDataplaneAsync(CancellationToken.None),
                "POST /dataplane/start" => await _target.StartDataplaneAsync(CancellationToken.None),
                "POST /resync" => _target.Resync(),
                _ => null,
            };
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            answer = new AdminAnswer(false, e.Message); // the client shows it; nothing here can decide better
        }

        if (answer is null)
        {
            await WriteAsync(context, StatusCodes.Status404NotFound, new AdminAnswer(false, $"There is no {request}."), AdminJson.Default.AdminAnswer);
            return;
        }

        _log.LogInformation("Admin request {Request} {Done} {Answer}", request, answer.Done, answer.Message);
        int status = answer.Done ? StatusCodes.Status200OK : StatusCodes.Status409Conflict;
        await WriteAsync(context, status, answer, AdminJson.Default.AdminAnswer);
    }

    /// <summary>Of ?service=NAMESPACE/NAME:PORT&amp;protocol=TCP&amp;family=IPv4.</summary>
    private Task WriteDecisionsAsync(HttpContext context)
    {
        IQueryCollection query = context.Request.Query;
        BackendDecisions? decisions = Enum.TryParse(query["protocol"], ignoreCase: true, out IpProtocol protocol)
            ? _target.Decisions(query["service"].ToString(), protocol, query["family"] != "IPv6")
            : null;
        return decisions is not null
            ? WriteAsync(context, StatusCodes.Status200OK, decisions, AdminJson.Default.BackendDecisions)
            : WriteAsync(context, StatusCodes.Status404NotFound, new AdminAnswer(false, $"There is no service port {query["service"]}."), AdminJson.Default.AdminAnswer);
    }

    private async Task<AdminAnswer> FlushAsync(HttpContext context)
    {
        FlushRequest? which;
        try
        {
            which = await JsonSerializer.DeserializeAsync(context.Request.Body, AdminJson.Default.FlushRequest, context.RequestAborted);
        }
        catch (JsonException e)
        {
            return new AdminAnswer(false, $"The request is not readable: {e.Message}");
        }

        long count = await _target.FlushAsync(which ?? new FlushRequest(), context.RequestAborted);
        return new AdminAnswer(true, $"{count} flows were forgotten.", count);
    }

    private static async Task WriteAsync<T>(HttpContext context, int status, T body, JsonTypeInfo<T> type)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(context.Response.Body, body, type, context.RequestAborted);
    }
}
