using ClusterLb.Agent;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Agent;

public sealed class AgentLoopsTests
{
    [Fact]
    public async Task A_loop_that_does_not_heed_the_end_is_named_and_holds_up_nobody()
    {
        var time = new ManualTime();
        var never = new TaskCompletionSource();
        using var loops = new AgentLoops((_, _) => { });
        loops.Run("source", _ => never.Task);
        loops.Run("maps", token => Task.Delay(Timeout.Infinite, token));

        Task<IReadOnlyList<string>> stopping = loops.StopAsync(TimeSpan.FromSeconds(5), time);
        while (time.Timers == 0 || loops.Running.Count > 1)
        {
            await Task.Yield();
        }

        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(["source"], await stopping);
        never.SetResult();
    }

    [Fact]
    public async Task Loops_that_end_when_asked_are_waited_for()
    {
        bool cleanedUp = false;
        using var loops = new AgentLoops((_, _) => { });
        loops.Run("maps", async token =>
        {
            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                cleanedUp = true;
            }
        });

        Assert.Empty(await loops.StopAsync(TimeSpan.FromMinutes(1)));
        Assert.True(cleanedUp);
    }

    [Fact]
    public async Task A_loop_that_fails_is_told()
    {
        var told = new TaskCompletionSource<string>();
        using var loops = new AgentLoops((name, e) => told.SetResult($"{name}: {e.Message}"));
        loops.Run("steering", _ => throw new InvalidOperationException("a bug"));

        Assert.Equal("steering: a bug", await told.Task);
    }
}
