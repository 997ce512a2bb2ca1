using System.Globalization;

namespace ClusterLb.ClusterRun;

/// <summary>Every request that got no answer, one line each, to look for its reason. Thread-safe.</summary>
internal sealed class LossLog(TextWriter lines)
{
    /// <summary>Writes a request that failed.</summary>
    /// <param name="kind">HTTP or UDP.</param>
    /// <param name="step">In which step it began.</param>
    /// <param name="origin">From where.</param>
    /// <param name="answer">What came of it.</param>
    public void Add(string kind, StepResult step, Origin origin, Answer answer)
    {
        lock (lines)
        {
            lines.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{DateTime.UtcNow:HH:mm:ss.fff} {kind} '{step.Name}' {origin.Name}: {answer.Failure} after {answer.Elapsed.TotalMilliseconds:0} ms"));
            lines.Flush();
        }
    }
}
