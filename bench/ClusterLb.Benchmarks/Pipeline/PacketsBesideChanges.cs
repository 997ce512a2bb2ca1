using System.Diagnostics;
using System.Globalization;
using ClusterLb.Benchmarks.ControlPlane;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Benchmarks.Pipeline;

/// <summary>Does a packet wait for the control plane? The time of every packet while another process changes the maps, and while it does not.</summary>
/// <remarks>No mean shows it, so it is no benchmark of BenchmarkDotNet: rounds with and without changes in turn, each packet between two looks
/// at the clock (some 25 ns each).</remarks>
internal static class PacketsBesideChanges
{
    private const int ChangesPerSecond = 1_000;
    private const int Rounds = 10; // of each kind
    private const int Clients = 20_000;

    private static readonly TimeSpan Round = TimeSpan.FromSeconds(2);
    private static readonly double[] Quantiles = [0.5, 0.99, 0.999];

    public static int Run()
    {
        string directory = Directory.CreateDirectory($"/dev/shm/clb-bench-{Environment.ProcessId}").FullName;
        try
        {
            using Process writer = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["changes", directory])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
            Tell(writer, 0); // answered once the maps are full
            using SharedLbMaps maps = SharedLbMaps.OpenForReading(directory);
            Measure(maps, writer);
            writer.StandardInput.Close();
            writer.WaitForExit();
            return writer.ExitCode;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Measure(SharedLbMaps maps, Process writer)
    {
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 65_536, Ipv6 = 64 });
        var pipeline = new PacketPipeline(maps, flows, PipelineCounters.CreateInMemory(), new FastRandomSource(1));
        var random = new Random(1);
        (string Client, string Service)[] pairs = [.. Enumerable.Range(0, Clients).Select(client => (
            $"172.20.{client >> 8}.{client & 0xFF}:2000", $"{SyntheticCluster.ClusterIpOf(random.Next(ChangeWriter.Services))}:80"))];
        byte[][] first = [.. pairs.Select(pair => (byte[])Packet.Tcp(pair.Client, pair.Service).Syn())];
        byte[][] second = [.. pairs.Select(pair => (byte[])Packet.Tcp(pair.Client, pair.Service).Ack())];

        var newFlows = new Samples();
        var knownFlows = new Samples();
        var rows = new List<(int Rate, double[] New, double[] Known)>();
        long changes = 0;
        for (int round = -2; round < 2 * Rounds; round++)
        {
            int rate = round % 2 == 0 ? 0 : ChangesPerSecond;
            Tell(writer, rate);
            newFlows.Clear();
            knownFlows.Clear();
            long begun = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(begun) < Round)
            {
                flows.Flush(new FlowFilter { Client = IpPrefix.Parse("172.20.0.0/16") }, 1_000_000);
                newFlows.Add(pipeline, first);
                knownFlows.Add(pipeline, second);
            }

            changes += Tell(writer, 0);
            if (round >= 0) // before that all is compiled
            {
                rows.Add((rate, newFlows.At(Quantiles), knownFlows.At(Quantiles)));
            }
        }

        Say(rows, changes / (double)(Rounds + 1) / Round.TotalSeconds);
    }

    private static long Tell(Process writer, int rate)
    {
        writer.StandardInput.WriteLine(rate.ToString(CultureInfo.InvariantCulture));
        return long.Parse(writer.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The writer has ended."), CultureInfo.InvariantCulture);
    }

    private static void Say(List<(int Rate, double[] New, double[] Known)> rows, double changesPerSecond)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"""
            # Packets beside changes

            Nanoseconds for a packet through the whole pipeline, both looks at the clock included: median of {Rounds} rounds of {Round.TotalSeconds} s (lowest to highest).
            Another process changes an endpoint of one of {ChangeWriter.Services} services {changesPerSecond:0} times a second, or none, in turn.

            | | p50 | p99 | p99.9 |
            |---|---|---|---|
            """));
        foreach ((string what, Func<(int Rate, double[] New, double[] Known), double[]> of) in
            ((string, Func<(int Rate, double[] New, double[] Known), double[]>)[])[("known flow", row => row.Known), ("new flow", row => row.New)])
        {
            foreach (int rate in (int[])[0, ChangesPerSecond])
            {
                double[][] rounds = [.. rows.Where(row => row.Rate == rate).Select(of)];
                Console.WriteLine($"| {what}, {(rate == 0 ? "no changes" : "changes")} | {string.Join(" | ", Quantiles.Select((_, i) => Cell([.. rounds.Select(r => r[i]).Order()])))} |");
            }
        }
    }

    private static string Cell(double[] sorted) =>
        string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Length / 2]:0} ({sorted[0]:0} to {sorted[^1]:0})");

    /// <summary>Times of single packets.</summary>
    private sealed class Samples
    {
        private readonly byte[] _buffer = new byte[2_048];
        private readonly long[] _ticks = new long[1 << 25];
        private int _count;

        public void Clear() => _count = 0;

        public void Add(PacketPipeline pipeline, byte[][] packets)
        {
            foreach (byte[] packet in packets)
            {
                packet.CopyTo(_buffer, 0);
                var meta = new PacketMeta { Length = packet.Length };
                long before = Stopwatch.GetTimestamp();
                Verdict verdict = pipeline.Process(_buffer, ref meta, nowMs: 1_000_000);
                _ticks[_count++] = Stopwatch.GetTimestamp() - before;
                if (verdict != Verdict.Forward)
                {
                    throw new InvalidOperationException($"{verdict} {meta.DropReason}");
                }
            }
        }

        public double[] At(double[] quantiles)
        {
            Array.Sort(_ticks, 0, _count);
            return [.. quantiles.Select(quantile => _ticks[(int)((_count - 1) * quantile)] * 1e9 / Stopwatch.Frequency)];
        }
    }
}
