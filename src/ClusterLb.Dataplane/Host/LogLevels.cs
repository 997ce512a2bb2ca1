namespace ClusterLb.Dataplane.Host;

/// <summary>Importance of a log line, with the numbers of Microsoft.Extensions.Logging, which this project does not reference.</summary>
internal static class LogLevels
{
    public const int Information = 2;

    public const int Warning = 3;

    public const int Error = 4;

    public const int Critical = 5;
}
