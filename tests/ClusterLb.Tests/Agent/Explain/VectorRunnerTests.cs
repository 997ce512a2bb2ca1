using ClusterLb.Agent.Explain.Vectors;
using ClusterLb.Tests.House;

namespace ClusterLb.Tests.Agent.Explain;

/// <summary>The harness of conformance vectors: it passes what is right, and fails what is not.</summary>
public sealed class VectorRunnerTests
{
    private const string Objects = """
        [{"apiVersion":"v1","kind":"Service","metadata":{"name":"svc","namespace":"ns"},"spec":{"type":"ClusterIP","clusterIP":"172.30.0.41",
          "clusterIPs":["172.30.0.41"],"ipFamilies":["IPv4"],"ports":[{"name":"http","protocol":"TCP","port":80}]}},
         {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"svc-1","namespace":"ns",
          "labels":{"kubernetes.io/service-name":"svc"}},"addressType":"IPv4","ports":[{"name":"http","protocol":"TCP","port":8080}],
          "endpoints":[{"addresses":["10.180.0.1"]},{"addresses":["10.180.0.2"]}]}]
        """;

    /// <summary>Folder of sample vectors beside our own, for whoever has one.</summary>
    public static TheoryData<string> Files
    {
        get
        {
            var files = new TheoryData<string>();
            string own = Path.Combine(Repository.Root, "tests", "ClusterLb.Tests", "Vectors");
            string[] folders = Environment.GetEnvironmentVariable("CLUSTERLB_VECTORS") is { Length: > 0 } other ? [own, other] : [own];
            foreach (string file in folders.SelectMany(folder => Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal)))
            {
                files.Add(file);
            }

            return files;
        }
    }

    [Theory, MemberData(nameof(Files))]
    public void Every_flow_of_a_file_of_vectors_becomes_what_it_should(string file)
    {
        var report = new VectorReport { Cases = VectorRunner.RunFile(file) };

        Assert.Empty(
            from vector in report.Cases
            from step in vector.Steps
            from flow in step.Flows
            where flow.Pass != true
            select $"{vector.Id}: {flow.Name}: {flow.SkipReason ?? string.Join("; ", flow.Failures!)}");
        Assert.Empty(
            from vector in report.Cases
            from step in vector.Steps
            from check in step.Checks ?? []
            where check.Pass != true
            select $"{vector.Id}: {check.Name}: {string.Join("; ", check.Failures ?? ["not checked"])}");
        Assert.NotEqual(0, report.Passed);
    }

    [Theory]
    [InlineData("""{"verdict":"forward","backends":["10.180.0.2:8080","10.180.0.1:8080"],"masquerade":false}""", "")]
    [InlineData("""{"verdict":"forward"}""", "")]
    [InlineData("""{"verdict":"reject"}""", "verdict is forward, expected reject")]
    [InlineData(
        """{"verdict":"forward","backends":["10.180.0.1:8080"],"masquerade":false}""",
        "backends are [10.180.0.1:8080, 10.180.0.2:8080], expected [10.180.0.1:8080]")]
    [InlineData(
        """{"verdict":"forward","masquerade":true}""",
        "masquerade towards 10.180.0.1:8080 is False, expected True; masquerade towards 10.180.0.2:8080 is False, expected True")]
    public void A_flow_passes_only_if_it_becomes_what_is_expected(string expect, string failures)
    {
        VectorFlowReport flow = RunFlow($"{Tcp("10.0.0.2", 80)},\"expect\":{expect}");

        Assert.Equal(failures, string.Join("; ", flow.Failures ?? []));
        Assert.Equal(failures.Length == 0, flow.Pass);
        Assert.Equal(("forward", "172.30.0.41:80/TCP", "ns/svc:http"), (flow.Verdict, flow.Frontend, flow.Service));
    }

    [Fact]
    public void An_alternative_is_as_good()
    {
        VectorFlowReport flow = RunFlow(
            $$"""{{Tcp("10.0.0.2", 81)}},"expect":{"verdict":"pass"},"alternatives":[{"verdict":"reject"}]""");

        Assert.True(flow.Pass);
        Assert.Equal(("reject", "UnknownServicePort"), (flow.Verdict, flow.Reason));
    }

    [Fact]
    public void Masquerade_may_differ_by_backend()
    {
        VectorFlowReport flow = RunFlow(
            $$"""
            {{Tcp("10.180.0.1", 80)}},"expect":{"verdict":"forward","masquerade":false},
            "masqueradeByBackend":{"10.180.0.1:8080":true}
            """);

        Assert.True(flow.Pass, string.Join("; ", flow.Failures ?? []));
        Assert.False(flow.Masquerade);
        Assert.Equal([true, false], flow.MasqueradeByBackend!.Values);
    }

    [Fact]
    public void A_spread_that_is_impossible_fails()
    {
        VectorFlowReport flow = RunFlow(
            $$"""{{Tcp("10.0.0.2", 80)}},"expect":{"verdict":"forward"},"spread":{"connections":50,"minSharePerBackend":0.6}""");

        Assert.False(flow.Pass);
        Assert.Contains("of 50 connections, expected at least 60", Assert.Single(flow.Failures!), StringComparison.Ordinal);
        Assert.Equal(50, flow.Connections!.Values.Sum());
    }

    [Fact]
    public void A_spread_over_clients_opens_connections_from_each()
    {
        VectorFlowReport flow = RunFlow(
            $$"""
            {{Tcp("10.0.7.1", 80)}},"expect":{"verdict":"forward"},
            "spread":{"sourceRange":"10.0.7.250-10.0.8.49","connectionsPerClient":2,"minSharePerBackend":0.2}
            """);

        Assert.True(flow.Pass, string.Join("; ", flow.Failures ?? []));
        Assert.Equal(112, flow.Connections!.Values.Sum());
    }

    [Fact]
    public void What_is_not_understood_is_skipped_and_says_so()
    {
        Assert.Equal("unknown field 'teleport'", Skipped(RunFlow($$"""{{Tcp("10.0.0.2", 80)}},"expect":{"verdict":"forward"},"teleport":1""")));
        Assert.Equal("unknown tag 'odd'", Skipped(RunFlow($$"""{{Tcp("10.0.0.2", 80)}},"expect":{"verdict":"forward"},"tags":["odd"]""")));
        Assert.Equal("the case requires 'magic'", Skipped(RunFlow($$"""{{Tcp("10.0.0.2", 80)}},"expect":{"verdict":"forward"}""", ",\"requires\":[\"magic\"]")));

        static string? Skipped(VectorFlowReport flow)
        {
            Assert.Null(flow.Pass);
            return flow.SkipReason;
        }
    }

    [Fact]
    public void Objects_of_a_step_replace_those_before()
    {
        string forward = "{" + Tcp("10.0.0.2", 80) + ",\"expect\":{\"verdict\":\"forward\"}}";
        string drop = "{" + Tcp("10.0.0.2", 80) + ",\"expect\":{\"verdict\":\"drop\"}}";
        string json = Case(
            $$"""
            {"objects":{{Objects}},"flows":[{{forward}}]},
            {"objects":[],"flows":[{{drop}}]},
            {"objects":{{Objects}},"flows":[{{forward}}]}
            """);

        Assert.All(VectorRunner.Run(json).Single().Steps, step => Assert.True(step.Flows.Single().Pass, step.Flows.Single().Verdict));
    }

    [Fact]
    public void A_file_that_is_no_file_of_vectors_is_refused_with_its_name()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, """{"cases":[{"id":"x"}]}""");

            VectorException e = Assert.Throws<VectorException>(() => VectorRunner.RunFile(path));

            Assert.StartsWith(path + ": ", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Tcp(string source, int port) =>
        $$"""
        "name":"f","protocol":"TCP","sourceIP":"{{source}}","destIP":"172.30.0.41","destPort":{{port}}
        """;

    private static VectorFlowReport RunFlow(string flow, string more = "") =>
        VectorRunner.Run(Case($$"""{"objects":{{Objects}},"flows":[{{{flow}}}]}""", more)).Single().Steps.Single().Flows.Single();

    private static string Case(string steps, string more = "") =>
        $$"""
        {"cases":[{"id":"case","title":"t","node":{"name":"node-a","ips":["192.168.0.2"],"podCIDRs":["10.0.0.0/8"],"nodePortAddresses":null},
        "cluster":{"serviceCIDRs":["172.30.0.0/16"]},"steps":[{{steps}}]{{more}}}]}
        """;
}
