namespace ClusterLb.Agent;

/// <summary>The agent cannot start or go on; the message is one line for the operator. Nothing is left behind.</summary>
public sealed class AgentException : Exception
{
    /// <summary>No message.</summary>
    public AgentException()
    {
    }

    /// <summary>What failed, on what, why, and what to do.</summary>
    public AgentException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public AgentException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
