using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>A directory of Kubernetes manifests (*.yaml, *.yml, *.json; several documents, List kinds), followed as it changes.</summary>
/// <remarks>
/// Files directly in the directory are read, in the order of their names; an object that occurs in two files counts in the first.
/// A file that cannot be read keeps what it held before; write files elsewhere and rename them, else half of one may be seen.
/// Not thread-safe.
/// </remarks>
/// <param name="path">The directory. While it does not exist nothing is known, and the list is not complete.</param>
/// <param name="time">For rescans.</param>
public sealed class ManifestDirectory(string path, TimeProvider? time = null) : IObjectSource
{
    private static readonly TimeSpan RescanPeriod = TimeSpan.FromSeconds(2); // inotify loses events when its queue overflows
    private static readonly TimeSpan SettleTime = TimeSpan.FromMilliseconds(50); // one change of a file is several events

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly ObjectReader _reader = new();
    private readonly SortedDictionary<string, ManifestFile> _files = new(StringComparer.Ordinal);
    private Dictionary<(string Kind, ObjectName Name), KubernetesObject> _applied = [];

    /// <summary>The directory.</summary>
    public string Path => path;

    /// <summary>Reads what is there now, tells the store the differences to the last scan, and declares the list complete.</summary>
    /// <returns>False if the directory cannot be listed; then all stays as it was.</returns>
    public bool Scan(ClusterStateStore store)
    {
        string[] paths;
        try
        {
            paths = [.. Directory.EnumerateFiles(path).Where(IsManifest)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            store.SetProblems(path, "", default, [new ObjectProblem(path, "", default, "", $"cannot be listed: {e.Message}")]);
            return false;
        }

        store.SetProblems(path, "", default, []);
        bool anyChanged = Forget(paths, store);
        foreach (string file in paths)
        {
            if (!_files.TryGetValue(file, out ManifestFile? manifest))
            {
                _files.Add(file, manifest = new ManifestFile(file));
            }

            if (manifest.Refresh(_reader, _time.GetUtcNow().UtcDateTime))
            {
                anyChanged = true;
            }
        }

        if (anyChanged)
        {
            Apply(store);
        }

        if (!store.IsSourceComplete)
        {
            store.SourceComplete();
        }

        return true;
    }

    /// <inheritdoc/>
    public async Task RunAsync(ClusterStateStore store, CancellationToken cancellation)
    {
        using var wake = new SemaphoreSlim(0);
        FileSystemWatcher? watcher = null;
        try
        {
            while (!cancellation.IsCancellationRequested)
            {
                watcher ??= TryWatch(() => Release(wake)); // before the scan: what changes during it is an event
                bool isListed = Scan(store);
                if (!isListed)
                {
                    watcher?.Dispose(); // the directory is gone: a new one of its name is another inode
                    watcher = null;
                }

                await WaitAsync(wake, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
        finally
        {
            watcher?.Dispose();
        }
    }

    private static bool IsManifest(string file)
    {
        string name = System.IO.Path.GetFileName(file);
        return !name.StartsWith('.') && System.IO.Path.GetExtension(name).ToUpperInvariant() is ".YAML" or ".YML" or ".JSON";
    }

    private bool Forget(string[] paths, ClusterStateStore store)
    {
        string[] gone = [.. _files.Keys.Except(paths, StringComparer.Ordinal)];
        foreach (string file in gone)
        {
            _files.Remove(file);
            store.SetProblems(file, "", default, []);
        }

        return gone.Length > 0;
    }

    /// <summary>Tells the store what differs from the last time.</summary>
    private void Apply(ClusterStateStore store)
    {
        var merged = new Dictionary<(string Kind, ObjectName Name), KubernetesObject>(_applied.Count);
        foreach ((string file, ManifestFile manifest) in _files)
        {
            List<ObjectProblem> problems = [.. manifest.Problems];
            foreach ((var key, KubernetesObject found) in manifest.Objects)
            {
                if (!merged.TryAdd(key, found))
                {
                    problems.Add(new ObjectProblem(file, key.Kind, key.Name, "", "occurs in an earlier file too, which counts"));
                }
            }

            store.SetProblems(file, "", default, problems);
        }

        foreach ((var key, KubernetesObject before) in _applied)
        {
            if (!merged.ContainsKey(key))
            {
                before.RemoveFrom(store);
            }
        }

        foreach (KubernetesObject found in merged.Values)
        {
            found.ApplyTo(store); // equal ones change nothing
        }

        _applied = merged;
    }

    private FileSystemWatcher? TryWatch(Action changed)
    {
        try
        {
            var watcher = new FileSystemWatcher(path)
            {
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.LastWrite | NotifyFilters.Size | NotifyFilters.DirectoryName,
            };
            watcher.Changed += (_, _) => changed();
            watcher.Created += (_, _) => changed();
            watcher.Deleted += (_, _) => changed();
            watcher.Renamed += (_, _) => changed();
            watcher.Error += (_, _) => changed();
            watcher.EnableRaisingEvents = true;
            return watcher;
        }
        catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException)
        {
            return null; // no such directory, or no inotify instances left: the rescan finds changes, only later
        }
    }

    private static void Release(SemaphoreSlim wake)
    {
        try
        {
            wake.Release();
        }
        catch (ObjectDisposedException)
        {
            // An event that was on its way when the watcher ended; it comes on a thread of the pool, where nobody would catch this.
        }
    }

    private async Task WaitAsync(SemaphoreSlim wake, CancellationToken cancellation)
    {
        using var timer = new CancellationTokenSource(RescanPeriod, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            await wake.WaitAsync(both.Token);
            await Task.Delay(SettleTime, _time, cancellation);
            while (wake.Wait(0, CancellationToken.None))
            {
                // All events so far are answered by one scan.
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Time for a rescan.
        }
    }
}
