using System.Globalization;
using ClusterLb.Dataplane;
using Xunit.Abstractions;

namespace ClusterLb.Tests.Dataplane.Packets;

/// <summary>CLUSTERLB_FUZZ_PACKETS says how many packets; <c>make soak</c> asks for 100 million.</summary>
public sealed class PacketFuzzTests(ITestOutputHelper output)
{
    private const long DefaultPackets = 1_000_000;
    private const int FirstSeed = 791;

    private static long Packets =>
        long.TryParse(Environment.GetEnvironmentVariable("CLUSTERLB_FUZZ_PACKETS"), CultureInfo.InvariantCulture, out long count)
            ? count
            : DefaultPackets;

    [Fact]
    public void Mutated_packets_neither_crash_nor_change_a_byte_that_is_not_theirs()
    {
        int threads = Environment.ProcessorCount;
        PacketFuzz[] runs = [.. Enumerable.Range(FirstSeed, threads).Select(seed => new PacketFuzz(seed))];
        Parallel.ForEach(runs, run => run.Run(Packets / threads));

        foreach (DropReason reason in Enum.GetValues<DropReason>())
        {
            long count = runs.Sum(run => run.Count(reason));
            if (count > 0)
            {
                output.WriteLine($"{reason,-20} {count,12}");
            }
        }

        output.WriteLine($"{"translated errors",-20} {runs.Sum(run => run.TranslatedErrors),12}");
        output.WriteLine($"{"answers",-20} {runs.Sum(run => run.Answers),12}");

        // Were a mutation to stop at the first check each time, this test would show nothing.
        Assert.True(runs.Sum(run => run.Count(DropReason.None)) > Packets / 10);
        Assert.True(runs.Sum(run => run.TranslatedErrors) > Packets / 1000);
        Assert.True(runs.Sum(run => run.Answers) > Packets / 100);
    }
}
