namespace ClusterLb.Agent.Replay;

/// <summary>A capture cannot be read: the message tells why, and what to do.</summary>
public sealed class PcapException : Exception
{
    /// <summary>With the reason.</summary>
    public PcapException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and what caused it.</summary>
    public PcapException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Without a reason.</summary>
    public PcapException()
    {
    }
}
