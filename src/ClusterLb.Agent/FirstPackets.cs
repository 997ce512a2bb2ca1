using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent;

/// <summary>Brings what the dataplane's workers noted of first packets to the trace of changes. Thread-safe.</summary>
/// <remarks>The workers note the time themselves, so how often is looked does not change what is told.</remarks>
internal sealed class FirstPackets(SyncTrace trace, SafeFileHandle arrivals) : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>Looks once a second while anything is awaited, until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            Look();
        }
    }

    /// <summary>The trace as it is now.</summary>
    public IReadOnlyList<TracedChange> ReadTrace()
    {
        Look();
        return trace.Changes;
    }

    /// <inheritdoc/>
    public void Dispose() => arrivals.Dispose();

    private void Look()
    {
        if (!trace.IsAwaiting)
        {
            return;
        }

        var read = new BackendArrival[AwaitedBackends.Places];
        if (!BackendArrivals.TryRead(arrivals, read))
        {
            Array.Clear(read); // truncated by a dataplane that was taken over: nothing has come, and what is awaited is given up in time
        }

        trace.TakeArrivals(read);
    }
}
