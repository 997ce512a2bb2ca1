using ClusterLb.Testing.Kubernetes;
using ClusterLb.Tests.Dataplane.Maps;

namespace ClusterLb.Tests.Testing;

/// <summary>Servers that tests start must never outlive them.</summary>
public sealed class BoundProcessTests : IDisposable
{
    private const int Tries = 3_000; // half a minute: on a machine without a free core two seconds were not enough

    private readonly string _log = Path.GetTempFileName();

    [Fact]
    public async Task What_a_killed_test_run_had_started_ends_with_it()
    {
        int bound;
        using (SecondProcess owner = SecondProcess.Start("bound-process", _log))
        {
            bound = int.Parse(owner.ReadLine());
            for (int i = 0; i < Tries && !IsRunning(bound); i++)
            {
                await Task.Delay(10); // while a program is being replaced by another, it has no command line
            }

            Assert.True(IsRunning(bound));

            owner.Kill();
        }

        for (int i = 0; i < Tries && IsRunning(bound); i++)
        {
            await Task.Delay(10);
        }

        Assert.False(IsRunning(bound), $"process {bound} runs on");
    }

    [Fact]
    public async Task It_outlives_the_thread_that_asked_for_it()
    {
        Task<BoundProcess>? starting = null;
        var thread = new Thread(() => starting = BoundProcess.StartAsync(_log, "sleep", "60"));
        thread.Start();
        thread.Join();
        using BoundProcess process = await starting!;
        await Task.Delay(100); // nothing to wait for: it must stay

        Assert.False(process.HasExited);
    }

    public void Dispose() => File.Delete(_log);

    private static bool IsRunning(int pid) =>
        File.Exists($"/proc/{pid}/cmdline") && File.ReadAllText($"/proc/{pid}/cmdline").Contains("sleep", StringComparison.Ordinal);
}
