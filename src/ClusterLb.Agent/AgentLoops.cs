using System.Diagnostics.CodeAnalysis;

namespace ClusterLb.Agent;

/// <summary>The loops that run as long as the agent does. One that fails is told; one that does not heed the end is left behind.</summary>
/// <param name="failed">Called with the name of a loop that ended by an exception, on its thread.</param>
internal sealed class AgentLoops(Action<string, Exception> failed) : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(string Name, Task Task)> _loops = [];

    /// <summary>The names of those that have not ended.</summary>
    public IReadOnlyList<string> Running => [.. _loops.Where(loop => !loop.Task.IsCompleted).Select(loop => loop.Name)];

    /// <summary>Starts one more.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A loop that ended cannot be mended here: whoever started it decides.")]
    public void Run(string name, Func<CancellationToken, Task> loop) => _loops.Add((name, Task.Run(async () =>
    {
        try
        {
            await loop(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            failed(name, e);
        }
    })));

    /// <summary>Asks all of them to end, and waits.</summary>
    /// <returns>The names of those that still run after <paramref name="patience"/>: nothing that they use may be taken away.</returns>
    public async Task<IReadOnlyList<string>> StopAsync(TimeSpan patience, TimeProvider? time = null)
    {
        await _stop.CancelAsync();
        try
        {
            await Task.WhenAll(_loops.Select(loop => loop.Task)).WaitAsync(patience, time ?? TimeProvider.System);
        }
        catch (TimeoutException)
        {
            // They are named below.
        }

        return Running;
    }

    /// <inheritdoc/>
    public void Dispose() => _stop.Dispose();
}
