using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Agent.Http;
using ClusterLb.Agent.Logging;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Listens on the health check node port of each service that has one, and tells balancers how many backends are here.</summary>
/// <remarks>
/// A family of a service is served by itself, as kube-proxy does: on the node port addresses of the family, with the count of the
/// family. The reconcile loop only notes what changed; sockets are opened and closed by <see cref="RunAsync"/>.
/// </remarks>
internal sealed class HealthCheckNodePorts : IAsyncDisposable
{
    /// <summary>What scripts look for.</summary>
    public const string FailedReason = "FailedToStartServiceHealthcheck";

    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(5);

    private readonly string _nodeName;
    private readonly IEventSink _events;
    private readonly Func<bool> _isProxyHealthy;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly ListenerSet _listeners = new();
    private readonly HttpEndpoint _server;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _lock = new();
    private ImmutableDictionary<ObjectName, ServiceHealth> _wanted = ImmutableDictionary<ObjectName, ServiceHealth>.Empty; // guarded by _lock, as the next three
    private HashSet<ObjectName> _changed = [];
    private NetworkInputs? _network;
    private LocalNode? _node;
    private bool _networkChanged;

    // Of the running loop, but for the answers, which requests look up.
    private readonly Dictionary<ObjectName, List<HealthCheckPort>> _ports = [];
    private readonly HashSet<ObjectName> _failed = [];
    private readonly ConcurrentDictionary<(bool IsIpv4, int Port), HealthCheckPort> _answers = new();

    /// <summary>Nothing is listened to yet.</summary>
    /// <param name="nodeName">For events.</param>
    /// <param name="events">Where a port that cannot be listened to is told.</param>
    /// <param name="isProxyHealthy">What /livez says.</param>
    /// <param name="log">What is opened and closed.</param>
    /// <param name="time">For the pause before another try.</param>
    public HealthCheckNodePorts(string nodeName, IEventSink events, Func<bool> isProxyHealthy, ILogger log, TimeProvider? time = null)
    {
        _nodeName = nodeName;
        _events = events;
        _isProxyHealthy = isProxyHealthy;
        _log = log;
        _time = time ?? TimeProvider.System;
        _server = new HttpEndpoint(_listeners, AnswerAsync, log);
    }

    /// <summary>Tells the services as they are in the maps. The same dictionary again is no change. Any thread.</summary>
    public void SetServices(ImmutableDictionary<ObjectName, ServiceHealth> services)
    {
        lock (_lock)
        {
            if (ReferenceEquals(services, _wanted))
            {
                return;
            }

            _changed.UnionWith(_wanted.Keys.Where(name => !services.ContainsKey(name)));
            _changed.UnionWith(services.Where(pair => !_wanted.TryGetValue(pair.Key, out ServiceHealth? before) || before != pair.Value).Select(pair => pair.Key));
            _wanted = services;
        }

        Wake();
    }

    /// <summary>Tells the addresses of the node. The same objects again are no change. Any thread.</summary>
    public void SetNetwork(NetworkInputs? network, LocalNode? node)
    {
        lock (_lock)
        {
            if (ReferenceEquals(network, _network) && ReferenceEquals(node, _node))
            {
                return;
            }

            (_network, _node, _networkChanged) = (network, node, true);
        }

        Wake();
    }

    /// <summary>Opens and closes ports until cancelled; one that is in use is tried again.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        await _server.StartAsync(cancellation);
        try
        {
            while (true)
            {
                await WaitAsync(cancellation);
                Step();
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _listeners.DisposeAsync();
        _wake.Dispose();
    }

    private async Task WaitAsync(CancellationToken cancellation)
    {
        using var retry = new CancellationTokenSource(_failed.Count == 0 ? Timeout.InfiniteTimeSpan : RetryPeriod, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(retry.Token, cancellation);
        try
        {
            await _wake.WaitAsync(both.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Time to try again those that failed.
        }
    }

    private void Step()
    {
        HashSet<ObjectName> changed;
        NetworkInputs? network;
        LocalNode? node;
        lock (_lock)
        {
            (changed, _changed) = (_changed, []);
            (network, node) = (_network, _node);
            if (_networkChanged)
            {
                changed.UnionWith(_wanted.Keys);
                _networkChanged = false;
            }
        }

        if (network is null)
        {
            lock (_lock)
            {
                _changed.UnionWith(changed); // the addresses come, and wake this loop
            }

            return;
        }

        changed.UnionWith(_failed);
        IReadOnlyList<IPAddress>[] addresses =
            [NodePortListenAddresses.Of(network, node, isIpv4: true), NodePortListenAddresses.Of(network, node, isIpv4: false)];

        // Those that go come first: a port may move from one service to another.
        List<(ObjectName Name, ServiceHealth? Health)> services = [.. changed.Select(name => (name, Wanted(name)))];
        foreach ((ObjectName name, ServiceHealth? health) in services)
        {
            CloseUnwanted(name, health, addresses);
        }

        foreach ((ObjectName name, ServiceHealth? health) in services)
        {
            Update(name, health, addresses);
        }
    }

    private ServiceHealth? Wanted(ObjectName name)
    {
        lock (_lock)
        {
            return _wanted.GetValueOrDefault(name);
        }
    }

    private void CloseUnwanted(ObjectName name, ServiceHealth? health, IReadOnlyList<IPAddress>[] addresses)
    {
        if (!_ports.TryGetValue(name, out List<HealthCheckPort>? ports))
        {
            return;
        }

        foreach (HealthCheckPort port in ports.ToArray())
        {
            if (health is not null && health.Port == port.Port && HasFamily(health, port.IsIpv4)
                && (port.Open is not { } open || open.Select(a => a.Address).SequenceEqual(Of(addresses, port.IsIpv4))))
            {
                continue;
            }

            Close(port);
            ports.Remove(port);
            _log.LogInformation(KlogLevel.Lifecycle, "Closing healthcheck {Service} {Port}", name.ToString(), port.Port);
        }

        if (ports.Count == 0)
        {
            _ports.Remove(name);
        }
    }

    private void Update(ObjectName name, ServiceHealth? health, IReadOnlyList<IPAddress>[] addresses)
    {
        _failed.Remove(name);
        if (health is null)
        {
            return;
        }

        foreach (bool isIpv4 in (ReadOnlySpan<bool>)[true, false])
        {
            if (HasFamily(health, isIpv4))
            {
                HealthCheckPort port = PortOf(name, isIpv4, health.Port);
                port.LocalReady = isIpv4 ? health.LocalReadyIpv4 : health.LocalReadyIpv6;
                _log.LogDebug("Reporting endpoints for healthcheck {EndpointCount} {Service}", port.LocalReady, name.ToString());
                if (port.Open is null)
                {
                    Open(port, Of(addresses, isIpv4));
                }
            }
        }
    }

    private HealthCheckPort PortOf(ObjectName name, bool isIpv4, ushort number)
    {
        if (!_ports.TryGetValue(name, out List<HealthCheckPort>? ports))
        {
            _ports[name] = ports = [];
        }

        HealthCheckPort? port = ports.Find(p => p.IsIpv4 == isIpv4);
        if (port is null)
        {
            port = new HealthCheckPort(name, isIpv4, number);
            ports.Add(port);
        }

        return port;
    }

    private void Open(HealthCheckPort port, IReadOnlyList<IPAddress> addresses)
    {
        var open = new List<IPEndPoint>();
        try
        {
            if (port.Problem is null)
            {
                _log.LogInformation(KlogLevel.Lifecycle, "Opening healthcheck {Service} {Port}", port.Service.ToString(), port.Port);
            }

            _answers.TryAdd((port.IsIpv4, port.Port), port); // before it listens: the first who connects is answered. Another service that has the port keeps it
            foreach (IPAddress address in addresses)
            {
                var endpoint = new IPEndPoint(address, port.Port);
                _listeners.Open(endpoint);
                open.Add(endpoint);
            }

            port.Open = open;
            port.Problem = null;
        }
        catch (SocketException e)
        {
            open.ForEach(_listeners.Close); // all or none: half an answer is worse than none
            StopAnswering(port);
            Fail(port, $"listen {new IPEndPoint(addresses[open.Count], port.Port)}: {e.Message}");
        }
    }

    private void Fail(HealthCheckPort port, string problem)
    {
        _failed.Add(port.Service);
        if (port.Problem == problem)
        {
            return;
        }

        port.Problem = problem;
        string note = string.Create(
            CultureInfo.InvariantCulture, $"node {_nodeName} failed to start healthcheck \"{port.Service}\" on port {port.Port}: {problem}");
        _log.LogError("Failed to start healthcheck {Node} {Service} {Port} {Err}", _nodeName, port.Service.ToString(), port.Port, problem);
        _events.Warn("Service", port.Service, FailedReason, note);
    }

    private void Close(HealthCheckPort port)
    {
        foreach (IPEndPoint address in port.Open ?? [])
        {
            _listeners.Close(address);
        }

        StopAnswering(port);
    }

    private void StopAnswering(HealthCheckPort port) =>
        _answers.TryRemove(new KeyValuePair<(bool, int), HealthCheckPort>((port.IsIpv4, port.Port), port));

    private async Task AnswerAsync(HttpContext context)
    {
        ConnectionInfo connection = context.Connection;
        bool isIpv4 = connection.LocalIpAddress is { } local && (local.AddressFamily == AddressFamily.InterNetwork || local.IsIPv4MappedToIPv6);
        if (!_answers.TryGetValue((isIpv4, connection.LocalPort), out HealthCheckPort? port))
        {
            context.Abort(); // the service went while the connection was open
            return;
        }

        (int status, byte[] body) = ServiceHealthResponse.Of(port.Service, port.LocalReady, _isProxyHealthy());
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers[ServiceHealthResponse.WeightHeader] = port.LocalReady.ToString(CultureInfo.InvariantCulture);
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static bool HasFamily(ServiceHealth health, bool isIpv4) => health.Families.HasFlag(isIpv4 ? Families.Ipv4 : Families.Ipv6);

    private static IReadOnlyList<IPAddress> Of(IReadOnlyList<IPAddress>[] addresses, bool isIpv4) => addresses[isIpv4 ? 0 : 1];

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Awake already.
        }
    }
}
