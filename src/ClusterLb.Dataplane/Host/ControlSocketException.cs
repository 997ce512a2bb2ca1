namespace ClusterLb.Dataplane.Host;

/// <summary>The control socket between agent and dataplane failed: the peer is gone, does not read, or speaks otherwise.</summary>
public sealed class ControlSocketException : IOException
{
    /// <summary>No message.</summary>
    public ControlSocketException()
    {
    }

    /// <summary>What failed, on what, and why.</summary>
    public ControlSocketException(string message)
        : base(message)
    {
    }

    /// <summary>With the code of the runtime.</summary>
    public ControlSocketException(string message, int hresult)
        : base(message, hresult)
    {
    }

    /// <summary>What failed, and the error behind it.</summary>
    public ControlSocketException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
