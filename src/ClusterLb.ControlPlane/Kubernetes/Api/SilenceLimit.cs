using System.IO.Pipelines;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Reads that end when nothing comes for too long: a server that accepted a request and then forgot it.</summary>
internal sealed class SilenceLimit(CancellationToken cancellation) : IDisposable
{
    private readonly CancellationTokenSource _timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);

    /// <summary>Reads what is there, or waits for it.</summary>
    /// <exception cref="ApiException">Nothing came in time.</exception>
    public async ValueTask<ReadResult> ReadAsync(PipeReader pipe, TimeSpan limit, string action, string server)
    {
        _timer.CancelAfter(limit > TimeSpan.Zero ? limit : TimeSpan.Zero);
        try
        {
            return await pipe.ReadAsync(_timer.Token);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new ApiException($"Cannot {action}: {server} has been silent for {limit.TotalSeconds:0.#} s.", e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
