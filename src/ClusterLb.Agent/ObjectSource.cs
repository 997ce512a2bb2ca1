using System.Diagnostics.Metrics;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Logging;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <summary>Where this agent's objects come from: an API server or a directory, chosen once.</summary>
internal sealed class ObjectSource : IDisposable
{
    private readonly IObjectSource _source;

    private ObjectSource(IObjectSource source, string name, IEventSink events)
    {
        _source = source;
        Name = name;
        Events = events;
    }

    /// <summary>Where an operator is told what is wrong with an object: Events of the API server, or the log.</summary>
    public IEventSink Events { get; }

    /// <summary>The directory, or where the connection to the server is configured.</summary>
    public string Name { get; }

    /// <summary>Chooses: a kubeconfig, else manifests, else, in a pod, its service account.</summary>
    /// <exception cref="AgentException">There is none of them, or it cannot be used.</exception>
    public static ObjectSource Choose(AgentOptions options, Func<string, string?> variable, Meter meter, ILogger log)
    {
        if (options.KubeconfigFile is null && options.ManifestDirectory is { } directory)
        {
            return new ObjectSource(new ManifestDirectory(directory), directory, new LogEventSink(log));
        }

        if (options.KubeconfigFile is null && string.IsNullOrEmpty(variable(ApiConnection.HostVariable)))
        {
            throw new AgentException("There is nothing to serve from: give a kubeconfig (--kubeconfig FILE, or clientConnection.kubeconfig in " +
                "KubeProxyConfiguration) or a directory of manifests (--manifests DIR, or manifests in ClusterLbConfiguration), or run as a pod.");
        }

        try
        {
            ApiConnection connection = options.KubeconfigFile is { } file ? Kubeconfig.Load(file) : ApiConnection.InCluster(variable);
            if (options.ApiServers.Count > 0)
            {
                connection = connection with { Servers = [.. options.ApiServers] };
            }

            log.LogInformation("API server {Servers} {Origin}", connection.Servers, connection.Origin);
            var server = new ApiServerSource(connection, new RestClientMetrics(meter));
            server.Changed += status => Log(status, log);
            return new ObjectSource(server, connection.Origin, server.Events);
        }
        catch (ApiConnectionException e)
        {
            throw new AgentException(e.Message, e);
        }
    }

    /// <inheritdoc cref="IObjectSource.RunAsync"/>
    public Task RunAsync(ClusterStateStore store, CancellationToken cancellation) => _source.RunAsync(store, cancellation);

    /// <summary>How it stands with the server; null if the source is a directory.</summary>
    public ServerStatus? Status() => _source is ApiServerSource server ? ServerStatus.Of(server.Status) : null;

    /// <inheritdoc/>
    public void Dispose() => (_source as IDisposable)?.Dispose();

    private static void Log(ApiResourceStatus status, ILogger log)
    {
        switch (status.State)
        {
            case ApiWatchState.Watching:
                log.LogInformation("Watching {Resource} {Objects}", status.Resource, status.Objects);
                break;
            case ApiWatchState.Waiting:
                log.LogWarning("Not watching, will try again; what is known is served {Resource} {Reason}", status.Resource, status.LastError);
                break;
            case ApiWatchState.NotOffered:
                log.LogInformation("The API server does not have this resource {Resource}", status.Resource);
                break;
            default:
                log.LogDebug("Listing {Resource}", status.Resource);
                break;
        }
    }
}
