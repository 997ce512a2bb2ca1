namespace ClusterLb.Agent.Admin;

/// <summary>The agent could not be asked, or refused; the message says what to do.</summary>
public sealed class AdminException : Exception
{
    /// <summary>No message.</summary>
    public AdminException()
    {
    }

    /// <summary>What failed, why, and what to do.</summary>
    public AdminException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public AdminException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
