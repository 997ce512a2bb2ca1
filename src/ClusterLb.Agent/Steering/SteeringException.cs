namespace ClusterLb.Agent.Steering;

/// <summary>Traffic cannot be steered: the message says what failed, on what, and what to do.</summary>
public sealed class SteeringException : Exception
{
    /// <summary>No message.</summary>
    public SteeringException()
    {
    }

    /// <summary>What failed, on what, why, and what to do.</summary>
    public SteeringException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public SteeringException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
