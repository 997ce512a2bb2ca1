using BenchmarkDotNet.Attributes;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Benchmarks.Conntrack;

/// <summary>What does the flow table cost by itself, small and with a million flows, and how much memory is a flow?</summary>
[MemoryDiagnoser]
public class ConntrackBenchmarks
{
    private const int Draws = 4_096;
    private const long Now = 1_000;

    private FlowTables _flows = null!;
    private FlowTuple[] _known = [];
    private FlowTuple[] _unknown = [];
    private NewFlow[] _fresh = [];

    /// <summary>Flows in the table, a power of two: the table is full.</summary>
    [Params(4_096, 1_048_576)]
    public int Flows { get; set; }

    /// <summary>IPv6 instead of IPv4.</summary>
    [Params(false, true)]
    public bool Ipv6 { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = Ipv6 ? 64 : Flows, Ipv6 = Ipv6 ? Flows : 64 });
        for (uint i = 0; i < Flows - 1; i++)
        {
            if (_flows.TryCreate(New(i), Now, out FlowHit hit) != CreateResult.Created)
            {
                throw new InvalidOperationException($"flow {i} does not fit");
            }

            _flows.Record(hit, FlowState.ReplySeen | FlowState.Established, long.MaxValue, 1);
        }

        var random = new Random(1);
        _known = [.. Enumerable.Range(0, Draws).Select(_ => New((uint)random.Next(Flows - 1)).Original)];
        _unknown = [.. Enumerable.Range(0, Draws).Select(_ => New((uint)Flows + (uint)random.Next(Flows)).Original)];
        _fresh = [.. Enumerable.Range(0, Draws).Select(i => New((uint)(Flows + i)))];
        MapFileSpec spec = Ipv6 ? ConntrackTable<FlowKey6>.SpecOf("x", Flows) : ConntrackTable<FlowKey4>.SpecOf("x", Flows);
        Console.WriteLine($"// bytes per flow: {(spec.Length - MapFileSpec.IndexOffset) / (double)Flows:F1} ({(Ipv6 ? "IPv6" : "IPv4")}, {Flows} flows)");
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Draws)]
    public int Hit() => Count(_known);

    [Benchmark(OperationsPerInvoke = Draws)]
    public int Miss() => Count(_unknown);

    [Benchmark(OperationsPerInvoke = Draws)]
    public int CreateAndRemove()
    {
        int created = 0;
        foreach (NewFlow flow in _fresh)
        {
            created += (int)_flows.TryCreate(flow, Now, out FlowHit hit);
            _flows.Remove(hit);
        }

        return created;
    }

    private int Count(FlowTuple[] tuples)
    {
        int found = 0;
        foreach (FlowTuple tuple in tuples)
        {
            found += _flows.TryLookup(tuple, Now, out _) ? 1 : 0;
        }

        return found;
    }

    private NewFlow New(uint number) => new()
    {
        Original = new FlowTuple(Address(0x0AF4_0000 + (number >> 14)), Address(0x0A60_000A), (ushort)(1024 + (number & 0x3FFF)), 80, IpProtocol.Tcp),
        Reply = new FlowTuple(
            Address(0x0A01_0000 + (number % 5)), Address(0x0AF4_0000 + (number >> 14)), 8080, (ushort)(1024 + (number & 0x3FFF)), IpProtocol.Tcp),
        ExpiresMs = long.MaxValue,
    };

    private IpAddr Address(uint number) => Ipv6 ? IpAddr.FromIpv6(0xFD00_0010_0244_0000, number) : IpAddr.FromIpv4(number);
}
