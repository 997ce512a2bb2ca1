using System.Text.Json;
using ClusterLb.Agent.Replay;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Cli;

/// <summary>Generated captures over manifests, from the file to what people and programs read.</summary>
public sealed class ReplayTests : IDisposable
{
    private const string Client = "10.244.0.9:41000";

    private const string Manifests = WebManifests.Node + WebManifests.Web + """
        endpoints:
        - { addresses: [10.244.1.5], nodeName: node-a }
        """;

    private const string Config = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        clusterCIDR: 10.244.0.0/16
        ---
        apiVersion: clusterlb.io/v1alpha1
        kind: ClusterLbConfiguration
        serviceCIDRs: [10.96.0.0/12]
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("clb-replay-").FullName;

    public ReplayTests()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "manifests"));
        File.WriteAllText(Path.Combine(_directory, "manifests", "all.yaml"), Manifests);
        File.WriteAllText(Path.Combine(_directory, "config.yaml"), Config);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Each_packet_is_told_with_what_became_of_it()
    {
        string capture = Write(new PcapBuilder(linkType: 1)
            .Add(Packet.Tcp(Client, "10.96.0.10:80").Syn(), 100)
            .Add(Packet.Tcp("10.244.1.5:8080", Client).SynAck(), 100.001)
            .Add(Packet.Udp(Client, "10.96.0.77:53"), 100.5)
            .Add([0, 1], 101, etherType: 0x0806));

        CliRun run = await Replay(capture);

        Assert.Equal((0, ""), (run.Status, run.Error));
        Assert.Equal(
            """
                1    0.000000 forward 10.244.0.9:41000 > 10.96.0.10:80 tcp [S] checksums ok  default/web:http new
                                   => 10.244.0.9:41000 > 10.244.1.5:8080 tcp [S] checksums ok
                2    0.001000 forward 10.244.1.5:8080 > 10.244.0.9:41000 tcp [S.] checksums ok  default/web:http reply
                                   => 10.96.0.10:80 > 10.244.0.9:41000 tcp [S.] checksums ok
                3    0.500000 drop    10.244.0.9:41000 > 10.96.0.77:53 udp checksums ok  (UnknownServiceAddress)
                4    1.000000 skip    no IP packet
            4 packets in 1.000 s: drop 1, forward 2, skip 1; 1 new flows, 1 left at the end; seed 1
            reasons: UnknownServiceAddress 1
            new flows by backend: 10.244.1.5:8080 1
            promises of the dataplane: all kept

            """.ReplaceLineEndings(),
            run.Out);
    }

    [Fact]
    public async Task The_times_of_the_capture_are_the_times_of_the_flows()
    {
        string capture = Write(new PcapBuilder()
            .Add(Packet.Tcp(Client, "10.96.0.10:80").Syn(), 100)
            .Add(Packet.Tcp("10.244.1.5:8080", Client).SynAck(), 159.9) // within the minute that a SYN is remembered
            .Add(Packet.Tcp("10.244.1.5:8080", Client).Ack(), 159.8) // the clock of the capture goes backwards
            .Add(Packet.Tcp("10.244.1.5:8080", Client).Ack(), 300)); // and after it

        JsonElement packets = await ReplayAsJson(capture);

        Assert.Equal(["forward", "forward", "forward", "drop"], packets.GetProperty("packets").EnumerateArray().Select(p => p.GetProperty("verdict").GetString()));
        Assert.Equal("UntranslatableReply", packets.GetProperty("packets")[3].GetProperty("reason").GetString());
        Assert.Equal(0, packets.GetProperty("summary").GetProperty("flowsLeft").GetInt32());
    }

    [Fact]
    public async Task What_the_dataplane_would_send_is_written_as_a_capture()
    {
        string capture = Write(new PcapBuilder()
            .Add(Packet.Tcp(Client, "10.96.0.10:80").Syn(), 100.25)
            .Add(Packet.Tcp(Client, "10.96.0.10:81").Syn(), 101)
            .Add(Packet.Tcp(Client, "10.96.0.99:80").Syn(), 102));
        string output = Path.Combine(_directory, "out.pcap");

        CliRun run = await Replay(capture, "-w", output);

        Assert.Equal(0, run.Status);
        using var reader = new PcapReader(File.OpenRead(output));
        CapturedPacket forwarded = reader.Read()!;
        Assert.Equal(100_250_000_000, forwarded.TimeNs);
        Assert.Equal("10.244.0.9:41000 > 10.244.1.5:8080 tcp [S] checksums ok", PacketText.Describe(forwarded.Packet));
        Assert.Equal("10.96.0.10:81 > 10.244.0.9:41000 tcp [R.] checksums ok", PacketText.Describe(reader.Read()!.Packet));
        Assert.Null(reader.Read()); // the third was dropped
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_output_and_another_one_another()
    {
        var builder = new PcapBuilder();
        for (int client = 0; client < 50; client++)
        {
            builder.Add(Packet.Tcp($"203.0.113.{client}:500", "10.96.0.10:80").Syn(), client); // masqueraded: its port is a random one
        }

        string capture = Write(builder);

        string first = (await Replay(capture, "--seed", "7")).Out;
        Assert.Equal(first, (await Replay(capture, "--seed", "7")).Out);
        Assert.NotEqual(first.Replace("seed 7", ""), (await Replay(capture, "--seed", "8")).Out.Replace("seed 8", ""));
        Assert.Contains("50 new flows", first);
    }

    [Fact]
    public async Task The_summary_alone_can_be_had()
    {
        string capture = Write(new PcapBuilder().Add(Packet.Tcp(Client, "10.96.0.10:80").Syn()).Add(Packet.Tcp(Client, "10.96.0.10:80").Syn(), captured: 30));

        CliRun run = await Replay(capture, "--show", "summary");

        Assert.StartsWith("2 packets in 0.000 s: drop 1, forward 1; 1 new flows", run.Out);
        Assert.Contains("1 packets were captured in part only", run.Out);
    }

    [Fact]
    public async Task A_broken_promise_is_told_beside_its_packet_and_is_a_failure()
    {
        // Nobody can be behind such an address: what leaves for it comes back, for ever.
        File.WriteAllText(Path.Combine(_directory, "manifests", "all.yaml"), Manifests.Replace("10.244.1.5", "10.96.0.99"));
        string capture = Write(new PcapBuilder()
            .Add(Packet.Tcp(Client, "10.96.0.10:80").Syn(), 100)
            .Add(Packet.Udp(Client, "10.96.0.77:53"), 100.5));

        CliRun run = await Replay(capture);
        CliRun summary = await Replay(capture, "--show", "summary");

        const string Broken = "!! BROKEN PROMISE: a packet left for 10.96.0.99, an address of the service range";
        Assert.Equal((1, ""), (run.Status, run.Error));
        Assert.Contains($"=> 10.244.0.9:41000 > 10.96.0.99:8080 tcp [S] checksums ok\n{new string(' ', 23)}{Broken}\n    2", run.Out);
        Assert.EndsWith("promises of the dataplane: BROKEN by 1 packets\n", run.Out);
        Assert.Equal(1, summary.Status);
        Assert.Contains(Broken, summary.Out);
    }

    [Theory]
    [InlineData("absent.pcap", "there is no such file or directory")]
    [InlineData("config.yaml", "it is no pcap file: it does not begin with a1b2c3d4 or a1b23c4d")]
    [InlineData("manifests", "it is a directory, or this user has no right to it")]
    public async Task A_file_that_cannot_be_read_is_named_with_the_reason(string file, string reason)
    {
        string path = Path.Combine(_directory, file);
        CliRun run = await Replay(path);

        Assert.Equal((1, $"clusterlb: cannot read the capture {path}: {reason}\n"), (run.Status, run.Error));
    }

    [Fact]
    public async Task The_capture_that_is_read_is_not_written_over()
    {
        string capture = Write(new PcapBuilder().Add(Packet.Tcp(Client, "10.96.0.10:80").Syn()));
        byte[] before = File.ReadAllBytes(capture);

        CliRun run = await Replay(capture, "-w", capture);

        Assert.Equal((1, $"clusterlb: cannot write the capture {capture}: it is the one that is read\n"), (run.Status, run.Error));
        Assert.Equal(before, File.ReadAllBytes(capture));
    }

    private string Write(PcapBuilder capture)
    {
        string path = Path.Combine(_directory, "in.pcap");
        File.WriteAllBytes(path, capture.ToBytes());
        return path;
    }

    private Task<CliRun> Replay(string capture, params string[] more) => CliRun.Of(
    [
        "replay", capture, "--manifests", Path.Combine(_directory, "manifests"), "--config", Path.Combine(_directory, "config.yaml"),
        "--node", "node-a", .. more,
    ]);

    private async Task<JsonElement> ReplayAsJson(string capture)
    {
        CliRun run = await Replay(capture, "-o", "json");
        Assert.Equal((0, ""), (run.Status, run.Error));
        return JsonDocument.Parse(run.Out).RootElement;
    }
}
