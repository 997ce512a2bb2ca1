namespace ClusterLb.Cli.Output;

/// <summary>What the program tells its caller when it ends.</summary>
internal static class ExitStatus
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>It could not be done, or a check did not hold; standard error says why.</summary>
    public const int Failure = 1;

    /// <summary>The command line was not understood; nothing was done.</summary>
    public const int Usage = 2;
}
