using BenchmarkDotNet.Attributes;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Benchmarks.Packets;

/// <summary>What the packet's own bytes cost: parsing, rewriting, and both as the pipeline does them for each packet of a flow.</summary>
[MemoryDiagnoser]
public class PacketBenchmarks
{
    private byte[] _packet = [];
    private FlowTuple _from;
    private FlowTuple _to;
    private HeaderOffsets _at;

    [Params("tcp4", "udp4", "tcp6", "tcp4-partial", "sctp4-1400")]
    public string Kind { get; set; } = "tcp4";

    private bool IsPartial => Kind == "tcp4-partial";

    [GlobalSetup]
    public void Setup()
    {
        _packet = Kind switch
        {
            "udp4" => Packet.Udp("10.0.0.9:41000", "10.96.0.10:80").Payload(64),
            "tcp6" => Packet.Tcp("[fd00::9]:41000", "[fd96::a]:80").Payload(64),
            "tcp4-partial" => Packet.Tcp("10.0.0.9:41000", "10.96.0.10:80").Payload(1400).PartialChecksum(),
            "sctp4-1400" => Packet.Sctp("10.0.0.9:41000", "10.96.0.10:80").Payload(1400),
            _ => Packet.Tcp("10.0.0.9:41000", "10.96.0.10:80").Payload(64),
        };
        PacketParser.Parse(_packet, out _from, out _at);
        _to = _from with
        {
            Destination = IpAddr.Parse(_from.IsIpv4 ? "10.244.1.5" : "fd44::5"),
            DestinationPort = 8080,
        };
    }

    [Benchmark]
    public DropReason Parse() => PacketParser.Parse(_packet, out _, out _);

    /// <summary>There and back, so that the packet is the same each time: two rewrites.</summary>
    [Benchmark(OperationsPerInvoke = 2)]
    public void Rewrite()
    {
        AddressRewriter.Rewrite(_packet, _at, _from, _to, IsPartial);
        AddressRewriter.Rewrite(_packet, _at, _to, _from, IsPartial);
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = 2)]
    public void ParseAndRewrite()
    {
        PacketParser.Parse(_packet, out FlowTuple tuple, out HeaderOffsets at);
        AddressRewriter.Rewrite(_packet, at, tuple, _to, IsPartial);
        PacketParser.Parse(_packet, out tuple, out at);
        AddressRewriter.Rewrite(_packet, at, tuple, _from, IsPartial);
    }
}
