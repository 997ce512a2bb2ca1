namespace ClusterLb.Tests.Simulation;

/// <summary>The steps of a seed, and the fewest of them that fail alike.</summary>
internal static class History
{
    private static readonly (StepKind Kind, int Weight)[] Weights =
    [
        (StepKind.ClientSends, 30), (StepKind.Deliver, 60), (StepKind.Duplicate, 3), (StepKind.Lose, 3), (StepKind.RouterComplains, 2),
        (StepKind.Stray, 3), (StepKind.PodChanges, 6), (StepKind.EndpointsArePublished, 6), (StepKind.ServiceChanges, 2),
        (StepKind.NodeChanges, 1), (StepKind.Sync, 7), (StepKind.TimePasses, 4), (StepKind.Sweep, 2), (StepKind.AgentDies, 1),
        (StepKind.AgentStarts, 2), (StepKind.AgentDiesWhileItWrites, 1), (StepKind.DataplaneRestarts, 1),
        (StepKind.LooksForOrphans, 8),
    ];

    /// <summary>The history of a seed.</summary>
    public static Step[] Of(int seed, int length)
    {
        var random = new Random(seed);
        int all = Weights.Sum(weight => weight.Weight);
        var steps = new Step[length];
        for (int i = 0; i < length; i++)
        {
            int choice = random.Next(all);
            int kind = 0;
            while (choice >= Weights[kind].Weight)
            {
                choice -= Weights[kind++].Weight;
            }

            steps[i] = new Step(Weights[kind].Kind, random.Next());
        }

        return steps;
    }

    /// <summary>Leaves out what is not needed for a failure: halves, quarters, single steps, again and again.</summary>
    /// <param name="steps">They fail.</param>
    /// <param name="fails">Whether these fail in the same way.</param>
    /// <param name="mostRuns">How often to try.</param>
    public static Step[] Shrink(Step[] steps, Func<Step[], bool> fails, int mostRuns)
    {
        int runs = 0;
        for (int size = steps.Length / 2; size > 0 && runs < mostRuns;)
        {
            bool hasShrunk = false;
            for (int at = 0; at < steps.Length && runs < mostRuns; runs++)
            {
                Step[] fewer = [.. steps[..at], .. steps[Math.Min(at + size, steps.Length)..]];
                if (fewer.Length < steps.Length && fails(fewer))
                {
                    steps = fewer;
                    hasShrunk = true;
                }
                else
                {
                    at += size;
                }
            }

            size = hasShrunk && size == 1 ? 1 : size / 2;
        }

        return steps;
    }
}
