using System.Globalization;
using Xunit.Abstractions;

namespace ClusterLb.Tests.Simulation;

/// <summary>
/// Thousands of random histories through the real control plane, maps, flow tables and pipeline: objects change, packets are
/// reordered, doubled and lost, time jumps, either process dies. CLUSTERLB_SIMULATION_HISTORIES says how many (make soak asks for more),
/// CLUSTERLB_SIMULATION_SEED runs one again and prints it.
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    private const int DefaultHistories = 2_000;
    private const int Steps = 300;
    private const int FirstSeed = 1;
    private const int MostShrinkingRuns = 600;

    [Fact]
    public void What_must_always_hold_holds_in_every_history()
    {
        if (Number("CLUSTERLB_SIMULATION_SEED") is { } seed)
        {
            var log = new List<string>();
            string? broken = Simulation.Run(seed, History.Of(seed, Steps), log).Broken;
            output.WriteLine(string.Join('\n', log));
            Assert.True(broken is null, broken);
            return;
        }

        int histories = Number("CLUSTERLB_SIMULATION_HISTORIES") ?? DefaultHistories;
        var total = new SimulationResult(null, 0, 0);
        var lockTotal = new Lock();
        string? failure = null;
        Parallel.For(FirstSeed, FirstSeed + histories, (history, loop) =>
        {
            SimulationResult result = Simulation.Run(history, History.Of(history, Steps));
            lock (lockTotal)
            {
                total = total.Plus(result);
            }

            if (result.Broken is { } reason && Interlocked.CompareExchange(ref failure, Shrunk(history, reason), null) is null)
            {
                loop.Stop();
            }
        });

        Assert.True(failure is null, failure);
        output.WriteLine($"{histories} histories from seed {FirstSeed}: {total}");
        string all = $"the histories show nothing: {total}";
        Assert.True(total.Compared > histories * 10, all);
        Assert.True(total.Reassembled > histories && total.AnsweredPings > histories / 20 && total.Canaries > histories / 2 && total.ResetFlows > 0, all);
        Assert.True(total.SctpFlows > histories / 4 && total.LivingRestarts > histories / 4 && total.Evictions > 0 && total.KeptPins > 0, all);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public void A_history_ends_alike_whenever_it_is_run(int seed)
    {
        Step[] steps = History.Of(seed, Steps);
        Assert.Equal(Simulation.Run(seed, steps), Simulation.Run(seed, steps));
    }

    [Fact]
    public void A_failing_history_is_shrunk_to_the_steps_that_matter()
    {
        Step[] steps = History.Of(5, Steps);
        Step first = steps[20];
        Step second = steps[200];

        Step[] shrunk = History.Shrink(steps, fewer => fewer.Contains(first) && fewer.Contains(second), MostShrinkingRuns);

        Assert.Equal([first, second], shrunk);
    }

    /// <summary>The fewest steps that fail in the same way, told one by one.</summary>
    private static string Shrunk(int seed, string reason)
    {
        Step[] shrunk = History.Shrink(History.Of(seed, Steps), steps => IsAlike(Simulation.Run(seed, steps).Broken, reason), MostShrinkingRuns);
        var log = new List<string>();
        Simulation.Run(seed, shrunk, log);
        return $"seed {seed} (CLUSTERLB_SIMULATION_SEED={seed} runs it again): {reason}\nThese {shrunk.Length} of its {Steps} steps are enough:\n"
            + string.Join('\n', log);
    }

    /// <summary>The same promise, whatever the addresses.</summary>
    private static bool IsAlike(string? broken, string reason) => broken is not null && Words(broken) == Words(reason);

    private static string Words(string text) => string.Concat(text.Split(' ').Where(word => word.All(char.IsAsciiLetter)).Take(12));

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : null;
}
