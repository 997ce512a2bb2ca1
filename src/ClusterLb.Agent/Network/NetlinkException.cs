namespace ClusterLb.Agent.Network;

/// <summary>The kernel did not tell its interfaces and addresses; the message says which call failed and why.</summary>
public sealed class NetlinkException : Exception
{
    /// <summary>No message.</summary>
    public NetlinkException()
    {
    }

    /// <summary>What failed, and why.</summary>
    public NetlinkException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public NetlinkException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
