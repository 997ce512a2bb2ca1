using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace ClusterLb.Agent.Http;

/// <summary>One listening address and one handler: Kestrel without routing, middleware or a container.</summary>
/// <remarks>The agent has three of these, which must not fall together; a web application would tie them into one start.</remarks>
internal sealed class HttpEndpoint : IAsyncDisposable
{
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(5); // as kube-proxy

    private const int MaxConnections = 256;

    private readonly EndPoint _address;
    private readonly RequestDelegate _handler;
    private readonly ILogger _log;
    private readonly ListenerSet? _listeners;
    private readonly CancellationTokenSource _stop = new();
    private KestrelServer? _server;
    private Task _retry = Task.CompletedTask;

    /// <summary>An endpoint that does not listen yet. An address of 0.0.0.0 is both families, as it is to Go.</summary>
    public HttpEndpoint(EndPoint address, RequestDelegate handler, ILogger log)
    {
        _address = address is IPEndPoint { Port: var port } any && any.Address.Equals(IPAddress.Any) && Socket.OSSupportsIPv6
            ? new IPEndPoint(IPAddress.IPv6Any, port)
            : address;
        _handler = handler;
        _log = log;
    }

    /// <summary>An endpoint that listens wherever the set does.</summary>
    public HttpEndpoint(ListenerSet listeners, RequestDelegate handler, ILogger log)
        : this(listeners.EndPoint, handler, log) => _listeners = listeners;

    /// <summary>Listens.</summary>
    /// <exception cref="IOException">The address is in use, or not of this node.</exception>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        // Kestrel's own log says nothing that its exceptions do not.
        ILoggerFactory quiet = NullLoggerFactory.Instance;
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = 65_536;
        options.Limits.MaxConcurrentConnections = _listeners is null ? MaxConnections : 8 * MaxConnections;
        options.Listen(_address);
        IConnectionListenerFactory transport = _listeners is null
            ? new SocketTransportFactory(Options.Create(new SocketTransportOptions()), quiet)
            : _listeners;
        var server = new KestrelServer(Options.Create(options), transport, quiet);
        try
        {
            await server.StartAsync(new Application(_handler, _log), cancellation);
        }
        catch (Exception e) when (e is SocketException or AddressInUseException)
        {
            server.Dispose();
            throw new IOException($"Cannot listen on {_address}: {e.Message}.", e);
        }
        catch
        {
            server.Dispose();
            throw;
        }

        _server = server;
    }

    /// <summary>Listens, and where that fails tries again until it works; says so once.</summary>
    public async Task StartOrRetryAsync(CancellationToken cancellation = default)
    {
        try
        {
            await StartAsync(cancellation);
        }
        catch (IOException e)
        {
            _log.LogError("Cannot listen, will try again {Address} {Reason}", _address.ToString(), e.Message);
            _retry = RetryAsync();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _retry;
        if (_server is not null)
        {
            using var impatience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await _server.StopAsync(impatience.Token);
            _server.Dispose();
        }

        _stop.Dispose();
    }

    private async Task RetryAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(RetryPeriod, _stop.Token);
                await StartAsync(_stop.Token);
                _log.LogInformation("Listening {Address}", _address.ToString());
                return;
            }
            catch (IOException)
            {
                // Still in use.
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private sealed class Application(RequestDelegate handler, ILogger log) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public async Task ProcessRequestAsync(HttpContext context)
        {
            try
            {
                await handler(context);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                log.LogError(e, "Request failed {Path}", context.Request.Path.Value);
                if (!context.Response.HasStarted)
                {
                    context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                }
            }
        }

        public void DisposeContext(HttpContext context, Exception? exception)
        {
        }
    }
}
