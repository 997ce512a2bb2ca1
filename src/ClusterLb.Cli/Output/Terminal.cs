using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Cli.Output;

/// <summary>Where a command prints, and how wide a line may be. Tests give their own writers.</summary>
internal sealed class Terminal
{
    /// <summary>Results.</summary>
    public required TextWriter Out { get; init; }

    /// <summary>What went wrong, and remarks that are no part of the result.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Columns of a line; <see cref="int.MaxValue"/> where nobody looks at a screen, so that grep sees whole values.</summary>
    public int Width { get; init; } = int.MaxValue;

    /// <summary>The clock of remaining times and wall-clock stamps.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Opens a writer that throws <see cref="IOException"/> once its reader is gone.</summary>
    /// <remarks>The console's own stream swallows EPIPE, so that <c>clusterlb monitor | head</c> would never end.</remarks>
    public required Func<TextWriter> OpenEndless { get; init; }

    /// <summary>Standard output and error of this process.</summary>
    public static Terminal OfProcess() => new()
    {
        Out = Console.Out,
        Error = Console.Error,
        Width = WidthOfScreen(),
        OpenEndless = () => new StreamWriter(
            new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0)),
    };

    private static int WidthOfScreen()
    {
        if (Console.IsOutputRedirected)
        {
            return int.MaxValue;
        }

        // A terminal of unknown size (a serial line) reports 0.
        return Console.WindowWidth is > 20 and int columns ? columns : 80;
    }
}
