namespace ClusterLb.Dataplane.Tun;

/// <summary>The TUN device cannot be created, used or removed; the message says on what, why, and what to do.</summary>
public sealed class TunException : Exception
{
    /// <summary>No message.</summary>
    public TunException()
    {
    }

    /// <summary>What failed, on what, why, and what to do.</summary>
    public TunException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public TunException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
