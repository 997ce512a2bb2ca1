namespace ClusterLb.Dataplane.Maps;

/// <summary>A map's file cannot be made, opened or mapped. The message says what, on which file, why, and what to do.</summary>
public sealed class MapFileException : IOException
{
    /// <summary>This user lacks the right; root has it.</summary>
    public bool IsAccessDenied { get; init; }

    /// <summary>For serializers; say more.</summary>
    public MapFileException()
    {
    }

    /// <summary>With the whole story in one line.</summary>
    public MapFileException(string message)
        : base(message)
    {
    }

    /// <summary>With the whole story in one line, and the code of the runtime.</summary>
    public MapFileException(string message, int hresult)
        : base(message, hresult)
    {
    }

    /// <summary>With the whole story in one line, and what lies below.</summary>
    public MapFileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
