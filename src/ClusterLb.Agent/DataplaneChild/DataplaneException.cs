namespace ClusterLb.Agent.DataplaneChild;

/// <summary>No dataplane can be started or adopted; the message says why and what to do.</summary>
public sealed class DataplaneException : Exception
{
    /// <summary>No message.</summary>
    public DataplaneException()
    {
    }

    /// <summary>What failed, on what, why, and what to do.</summary>
    public DataplaneException(string message)
        : base(message)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public DataplaneException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
