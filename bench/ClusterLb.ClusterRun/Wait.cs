using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Waits for something of the cluster, or of a service proxy, to be so.</summary>
internal static class Wait
{
    /// <summary>Looks again and again.</summary>
    /// <exception cref="LabException">It is not so after <paramref name="patience"/>; with what <paramref name="failure"/> says then.</exception>
    public static async Task UntilAsync(
        Func<Task<bool>> holds, Func<string> failure, TimeSpan pause, TimeSpan patience, CancellationToken cancel = default)
    {
        using var limit = new CancellationTokenSource(patience);
        while (!await holds())
        {
            if (limit.IsCancellationRequested)
            {
                throw new LabException(failure());
            }

            await Task.Delay(pause, cancel);
        }
    }
}
