namespace ClusterLb.ClusterRun.Changes;

/// <summary>What became of the traffic during one step. Thread-safe.</summary>
internal sealed class ChangeResult(string name)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _failures = new(StringComparer.Ordinal);

    public string Name { get; } = name;

    /// <summary>Connections that were opened for one request.</summary>
    public Tally NewTcp { get; } = new();

    /// <summary>Questions from a port of their own.</summary>
    public Tally NewUdp { get; } = new();

    /// <summary>Messages of flows that last.</summary>
    public Tally LongUdp { get; } = new();

    /// <summary>Messages of connections that last. Failed: connections that broke although their pod did not.</summary>
    public Tally LongTcp { get; } = new();

    /// <summary>Why, and how often.</summary>
    public string Reasons
    {
        get
        {
            lock (_lock)
            {
                return string.Join(", ", _failures.OrderByDescending(f => f.Value).Select(f => $"{f.Value} {f.Key}"));
            }
        }
    }

    /// <summary>Remembers why something was lost.</summary>
    public void AddReason(string reason)
    {
        lock (_lock)
        {
            _failures[reason] = _failures.GetValueOrDefault(reason) + 1;
        }
    }
}
