namespace ClusterLb.Lab.Stage;

/// <summary>The lab could not do what was asked; the message says what, on what, why, and what to do.</summary>
public sealed class LabException : Exception
{
    /// <summary>With a message for the operator.</summary>
    public LabException(string message)
        : base(message)
    {
    }

    /// <summary>With a message for the operator and the failure below it.</summary>
    public LabException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Without a message; use one of the others.</summary>
    public LabException()
    {
    }
}
