using System.Text.Json;
using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Cli;

/// <summary>The verbs that read, over the files of a state directory whose agent and dataplane are dead.</summary>
public sealed class StateDirTests : IDisposable
{
    private const string Manifests = WebManifests.Web + """
        endpoints: [ { addresses: [10.244.1.5] } ]
        """;

    private static readonly FlowCapacities Flows = new() { Ipv4 = 64, Ipv6 = 64, Workers = 1 };

    private readonly string _stateDir = Directory.CreateTempSubdirectory("clusterlb-state-").FullName;

    public StateDirTests()
    {
        string manifests = Path.Combine(_stateDir, "manifests");
        Directory.CreateDirectory(manifests);
        File.WriteAllText(Path.Combine(manifests, "web.yaml"), Manifests);
        var store = new ClusterStateStore("node-a");
        store.SetNetwork(new NetworkInputs
        {
            ServiceRanges = [IpPrefix.Parse("10.96.0.0/16")],
            PodRanges = [IpPrefix.Parse("10.244.0.0/16")],
            NodeAddresses = [IpAddr.Parse("192.168.0.2")],
        });
        using SharedLbMaps maps = SharedLbMaps.OpenForWriting(_stateDir, LbMapCapacities.Small, _ => { });
        using var loop = new ReconcileLoop(store, maps);
        new ManifestDirectory(manifests).Scan(store);
        loop.SyncNow();

        using FlowTables flows = FlowTables.OpenForWriting(_stateDir, Flows, _ => { });
        var pipeline = new PacketPipeline(maps, flows, new PipelineCounters(flows.Counters(0)), new FastRandomSource(1));
        Send(pipeline, Packet.Tcp("10.244.1.9:41000", "10.96.0.10:80").Syn());
        Send(pipeline, Packet.Tcp("10.244.1.5:8080", "10.244.1.9:41000").SynAck());
        Send(pipeline, Packet.Tcp("10.244.1.9:41001", "10.96.0.99:80").Syn());
        using TraceRing trace = TraceRing.OpenForWriting(_stateDir, workers: 1);
    }

    public void Dispose() => Directory.Delete(_stateDir, recursive: true);

    [Fact]
    public async Task Service_list_reads_the_maps()
    {
        CliRun run = await Run("service list");

        Assert.Equal((0, ""), (run.Status, run.Error));
        Assert.Matches(@"(?m)^\d+ +10\.96\.0\.10:80/TCP +ClusterIP +default/web:http +1 => 10\.244\.1\.5:8080/TCP \(active\)$", run.Out);
    }

    [Theory]
    [InlineData("bpf lb list", "10.96.0.10:80/TCP (1)   10.244.1.5:8080/TCP")]
    [InlineData("bpf lb list --frontends", "[ClusterIP, non-routable]")]
    [InlineData("bpf lb list --backends", "10.244.1.5:8080/TCP   active")]
    [InlineData("bpf lb list --revnat", "10.96.0.10:80/TCP")]
    [InlineData("service get default/web", "10.244.1.5:8080/TCP (active)")]
    [InlineData("service get web", "10.244.1.5:8080/TCP (active)")]
    [InlineData("service get web:http", "10.244.1.5:8080/TCP (active)")]
    public async Task Bpf_lb_list_reads_the_maps(string line, string says)
    {
        CliRun run = await Run(line);

        Assert.Equal((0, ""), (run.Status, run.Error));
        Assert.Contains(says, run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bpf_ct_list_reads_the_flow_tables()
    {
        CliRun run = await Run("bpf ct list global");

        Assert.Equal((0, ""), (run.Status, run.Error));
        Assert.Matches(
            @"(?m)^TCP +SYN_RECV +10\.244\.1\.9:41000 +10\.96\.0\.10:80 +10\.244\.1\.5:8080 +- +1/40B +1/40B +\d+s$", run.Out);
    }

    [Theory]
    [InlineData("--client 10.244.1.9", 1)]
    [InlineData("--client 10.244.1.8", 0)]
    [InlineData("--frontend 10.96.0.10 --port 80 --protocol tcp --backend 10.244.1.5", 1)]
    [InlineData("--frontend 10.96.0.10 --port 81", 0)]
    [InlineData("--protocol udp", 0)]
    public async Task Bpf_ct_list_shows_only_the_flows_that_are_meant(string filter, int flows)
    {
        CliRun run = await Run($"bpf ct list {filter} -o json");

        using JsonDocument document = JsonDocument.Parse(run.Out);
        Assert.Equal(flows, document.RootElement.GetArrayLength());
    }

    [Fact]
    public async Task Flow_tables_that_may_not_be_read_are_no_empty_table()
    {
        string file = Path.Combine(FlowDirectory.PathIn(_stateDir), "conntrack4");
        File.Delete(file);
        Directory.CreateDirectory(file); // refuses root as a mode refuses others

        CliRun run = await Run("bpf ct list");

        Assert.Equal((1, ""), (run.Status, run.Out));
        Assert.Equal($"clusterlb: cannot read the flow tables of {_stateDir}: this user may not read them; run as root\n", run.Error);
    }

    [Fact]
    public async Task An_explanation_without_the_right_to_read_flows_says_so()
    {
        string file = Path.Combine(FlowDirectory.PathIn(_stateDir), "conntrack4");
        File.Delete(file);
        Directory.CreateDirectory(file); // refuses root as a mode refuses others

        CliRun run = await Run("explain tcp 10.244.1.9:41000 10.96.0.10:80");

        Assert.Equal(0, run.Status);
        Assert.Matches("(?m)^conntrack +not known \\(this user may not read the flow tables; run as root\\)", run.Out);
    }

    [Fact]
    public void Maps_that_may_not_be_read_are_for_root()
    {
        CommandException e = Assert.Throws<CommandException>(() => StateFiles.Open<int>(
            "cannot read the maps of d", () => throw new MapFileException("Permission denied") { IsAccessDenied = true }));

        Assert.Equal("cannot read the maps of d: this user may not read them; run as root", e.Message);
    }

    [Fact]
    public async Task Flushing_without_an_agent_says_that_there_is_none()
    {
        CliRun run = await Run("bpf ct flush");

        Assert.Equal(1, run.Status);
        Assert.Equal(
            $"clusterlb bpf ct flush: No agent runs here: there is no socket {_stateDir}/admin.sock. " +
            "Start the agent, or name its directory with --state-dir.\n",
            run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
    }

    [Fact]
    public async Task Status_tells_what_the_files_know_and_fails_because_nobody_serves()
    {
        CliRun run = await Run("status");

        Assert.Equal(1, run.Status);
        Assert.Contains("ClusterLb:  DOWN: traffic is not served", run.Out, StringComparison.Ordinal);
        Assert.Contains("Maps:       complete", run.Out, StringComparison.Ordinal);
        Assert.Contains("Flows:      1", run.Out, StringComparison.Ordinal);
        Assert.Contains("Packets:    drop 1, forward 2, pass 0, reject 0", run.Out, StringComparison.Ordinal);
        Assert.Contains("Reasons:    UnknownServiceAddress 1", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_is_degraded_when_workers_live_and_no_agent_follows_changes()
    {
        using SharedLbMaps maps = SharedLbMaps.OpenForWriting(_stateDir, LbMapCapacities.Small, _ => { });
        using var slots = new WorkerSlots(File.OpenHandle(Path.Combine(FlowDirectory.PathIn(_stateDir), WorkerSlots.FileName), access: FileAccess.ReadWrite), maps);
        slots.TakeOver();
        slots.Beat(0, (long)(TimeProvider.System.GetElapsedTime(0).TotalMilliseconds * 1_000_000));

        CliRun run = await Run("status");

        Assert.Equal(1, run.Status);
        Assert.Contains("ClusterLb:  DEGRADED: traffic is served, but no agent follows changes", run.Out, StringComparison.Ordinal);
        Assert.Contains("Dataplane:  1 worker alive", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_as_json_names_the_same()
    {
        CliRun run = await Run("status -o json");

        using JsonDocument document = JsonDocument.Parse(run.Out);
        JsonElement root = document.RootElement;
        Assert.True(root.GetProperty("synced").GetBoolean());
        Assert.False(root.GetProperty("isHealthy").GetBoolean());
        Assert.Equal(2, root.GetProperty("packets").GetProperty("forward").GetInt32());
    }

    [Fact]
    public async Task Explain_over_live_maps_knows_the_flow_of_the_very_tuple()
    {
        CliRun known = await Run("explain tcp 10.244.1.9:41000 10.96.0.10:80");
        CliRun other = await Run("explain tcp 10.244.1.9:41009 10.96.0.10:80");

        Assert.Contains("conntrack     SYN_RECV to 10.244.1.5:8080, 1 packets out and 1 in", known.Out, StringComparison.Ordinal);
        Assert.Contains("conntrack     no flow of this tuple", other.Out, StringComparison.Ordinal);
        Assert.Contains("slot 1: 10.244.1.5:8080", other.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Monitor_shows_one_line_per_packet()
    {
        using TraceRing ring = TraceRing.OpenForWriting(_stateDir, workers: 1);
        using TraceReader reader = TraceReader.Open(_stateDir);
        using SharedLbMaps maps = SharedLbMaps.OpenForReading(_stateDir);
        uint servicePort = maps.ServicePorts.Entries().Single().Key;
        Write(ring, Verdict.Forward, DropReason.None, "10.244.1.9:41000", "10.96.0.10:80", servicePort, "10.244.1.9:41000", "10.244.1.5:8080");
        Write(ring, Verdict.Drop, DropReason.UnknownServiceAddress, "10.244.1.9:41001", "10.96.0.99:80", 0);

        string[] lines = [.. reader.Read().Select(e =>
            TraceView.Of(e, new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeZoneInfo.Local.GetUtcOffset(new DateTime(2026, 1, 2))), maps).ToString())];

        Assert.Equal(
            [
                "03:04:05.000000 forward 10.244.1.9:41000 > 10.96.0.10:80 tcp as 10.244.1.9:41000 > 10.244.1.5:8080 default/web:http new length 40",
                "03:04:05.000000 drop    10.244.1.9:41001 > 10.96.0.99:80 tcp (UnknownServiceAddress) new length 40",
            ],
            lines);
    }

    private static void Write(
        TraceRing ring, Verdict verdict, DropReason reason, string source, string destination, uint servicePort,
        string newSource = "0.0.0.0:0", string newDestination = "0.0.0.0:0")
    {
        var meta = new PacketMeta
        {
            Length = 40,
            DropReason = reason,
            Tuple = TupleOf(source, destination),
            Translated = TupleOf(newSource, newDestination),
            ServicePortId = servicePort,
            NewFlow = true,
        };
        ring.Write(0, nowNs: 1, verdict, meta);
    }

    private static FlowTuple TupleOf(string source, string destination)
    {
        (IpAddr from, ushort fromPort) = PacketBuilder.ParseEndpoint(source);
        (IpAddr to, ushort toPort) = PacketBuilder.ParseEndpoint(destination);
        return new FlowTuple(from, to, fromPort, toPort, IpProtocol.Tcp);
    }

    private static void Send(PacketPipeline pipeline, byte[] packet)
    {
        byte[] buffer = new byte[2048];
        packet.CopyTo(buffer, 0);
        var meta = new PacketMeta { Length = packet.Length };
        pipeline.Process(buffer, ref meta, Environment.TickCount64);
    }

    private Task<CliRun> Run(string line) => CliRun.Of([.. line.Split(' '), "--state-dir", _stateDir]);
}
