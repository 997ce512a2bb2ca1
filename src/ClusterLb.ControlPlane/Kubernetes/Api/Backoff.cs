namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How long to wait after failures: doubling, with a random part so that nodes that failed together do not return together.</summary>
internal sealed class Backoff(TimeSpan min, TimeSpan max, Random random)
{
    private int _failures;
    private bool _hasExpired; // since it worked last

    /// <summary>The next wait: from the base, which doubles, up to twice the base.</summary>
    public TimeSpan Next()
    {
        double seconds = Math.Min(max.TotalSeconds, min.TotalSeconds * Math.Pow(2, Math.Min(_failures++, 30)));
        return TimeSpan.FromSeconds(seconds * (1 + random.NextDouble()));
    }

    /// <summary>A short random wait, for what is no failure but happens to all clients at once.</summary>
    public TimeSpan Spread() => _failures > 0 ? Next() : min * random.NextDouble();

    /// <summary>The wait before what was known is read anew because the server says that it is too old.</summary>
    /// <remarks>
    /// The server answered, so failures before it no longer count: the first wait is a short random one. When it says so again
    /// before anything worked, that is a failure as any other.
    /// </remarks>
    public TimeSpan Expired()
    {
        if (_hasExpired)
        {
            return Next();
        }

        Reset();
        _hasExpired = true;
        return Spread();
    }

    /// <summary>It works again.</summary>
    public void Reset()
    {
        _failures = 0;
        _hasExpired = false;
    }
}
