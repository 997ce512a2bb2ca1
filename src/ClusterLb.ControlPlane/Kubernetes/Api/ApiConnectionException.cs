namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How to reach the API server is not said well: each problem in one sentence that names file and field.</summary>
public sealed class ApiConnectionException : Exception
{
    /// <summary>Without a message.</summary>
    public ApiConnectionException()
    {
    }

    /// <summary>With what an operator can do about it.</summary>
    public ApiConnectionException(string message)
        : base(message)
    {
    }

    /// <summary>With the cause.</summary>
    public ApiConnectionException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
