namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How long to wait after failures: doubling, with a random part so that nodes that failed together do not return together.</summary>
internal sealed class Backoff(TimeSpan min, TimeSpan max, Random random)
{
    private int _failures;

    /// <summary>The next wait: from the base, which doubles, up to twice the base.</summary>
    public TimeSpan Next()
    {
        double seconds = Math.Min(max.TotalSeconds, min.TotalSeconds * Math.Pow(2, Math.Min(_failures++, 30)));
        return TimeSpan.FromSeconds(seconds * (1 + random.NextDouble()));
    }

    /// <summary>A short random wait, for what is no failure but happens to all clients at once.</summary>
    public TimeSpan Spread() => _failures > 0 ? Next() : min * random.NextDouble();

    /// <summary>It works again.</summary>
    public void Reset() => _failures = 0;
}
