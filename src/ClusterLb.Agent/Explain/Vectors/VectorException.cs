namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>A file of vectors cannot be used; the message names file and place.</summary>
public sealed class VectorException : Exception
{
    /// <summary>No message.</summary>
    public VectorException()
    {
    }

    /// <summary>File, place, reason.</summary>
    public VectorException(string message)
        : base(message)
    {
    }

    /// <summary>File, place, reason, and the error behind it.</summary>
    public VectorException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
