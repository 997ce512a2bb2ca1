namespace ClusterLb.Dataplane.Tun;

/// <summary>The TUN device as configured.</summary>
public sealed record TunOptions
{
    /// <summary>Name of the interface.</summary>
    public string Name { get; init; } = "clb0";

    /// <summary>Queues, each served by a worker thread of its own. Default: one per processor, at most 8.</summary>
    public int Queues { get; init; } = Math.Clamp(Environment.ProcessorCount, 1, 8);

    /// <summary>Every problem, so that one restart is enough to fix a bad file.</summary>
    public IEnumerable<string> Problems()
    {
        if (Name.Length is 0 or > TunInterop.MaxNameLength || Name is "." or ".." ||
            Name.Any(c => c is '/' or ':' or '%' or <= ' ' or > '~'))
        {
            yield return $"tun.name is '{Name}', but an interface name has 1 to {TunInterop.MaxNameLength} " +
                "printable ASCII characters without '/', ':', '%' and spaces.";
        }

        if (Queues is < 1 or > MaxQueues)
        {
            yield return $"tun.queues is {Queues}, but must be from 1 to {MaxQueues}.";
        }
    }

    /// <summary>Limit of queues: their descriptors travel in one control message, of at most 253 (SCM_MAX_FD).</summary>
    public const int MaxQueues = 128;
}
