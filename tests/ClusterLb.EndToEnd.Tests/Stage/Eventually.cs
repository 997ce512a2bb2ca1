using System.Diagnostics;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Waits for what another process will do, by looking; never by sleeping a fixed time.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static Task IsAsync(string what, Func<bool> holds) => IsAsync(() => what, () => Task.FromResult(holds()));

    public static Task IsAsync(string what, Func<Task<bool>> holds) => IsAsync(() => what, holds);

    /// <summary>With words that tell how it is in the end.</summary>
    public static Task IsAsync(Func<string> what, Func<bool> holds) => IsAsync(what, () => Task.FromResult(holds()));

    /// <summary>The same, for what takes its time.</summary>
    public static async Task IsAsync(Func<string> what, Func<Task<bool>> holds)
    {
        long started = Stopwatch.GetTimestamp();
        while (!await holds())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < Patience, $"still not so after {Patience.TotalSeconds} s: {what()}");
            await Task.Delay(10);
        }
    }
}
