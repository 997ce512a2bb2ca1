namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>A certificate, key or token: given as it is, or in a file that is read again each time it is needed, because it rotates.</summary>
/// <remarks>Thread-safe. While a file cannot be read, what it held last counts.</remarks>
public sealed class CredentialText
{
    private readonly string? _path;
    private volatile string? _text;

    private CredentialText(string origin, string? path, string? text)
    {
        Origin = origin;
        _path = path;
        _text = text;
    }

    /// <summary>Where it is from, for messages; never what it says.</summary>
    public string Origin { get; }

    /// <summary>What stands in a configuration.</summary>
    public static CredentialText Given(string text, string origin) => new(origin, null, text);

    /// <summary>What a file holds.</summary>
    public static CredentialText InFile(string path) => new(path, path, null);

    /// <summary>The text as it is now.</summary>
    /// <exception cref="ApiConnectionException">The file cannot be read, and never could.</exception>
    public string Read()
    {
        if (_path is null)
        {
            return _text!;
        }

        try
        {
            string text = File.ReadAllText(_path);
            if (!string.IsNullOrWhiteSpace(text)) // the moment between truncating and writing
            {
                _text = text;
            }

            return _text ?? throw new ApiConnectionException($"The file '{_path}' is empty.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return _text ?? throw new ApiConnectionException($"Cannot read '{_path}': {e.Message}", e);
        }
    }
}
