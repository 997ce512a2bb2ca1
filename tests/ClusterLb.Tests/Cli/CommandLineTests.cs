using System.CommandLine;
using System.Text.Json;
using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("version")]
    [InlineData("--version")]
    public async Task Version_prints_one_line(string verb)
    {
        CliRun run = await CliRun.Of(verb);

        Assert.Equal(0, run.Status);
        Assert.Matches(@"^clusterlb \d+\.\d+\.\d+.*, \.NET \d+\.\d+\.\d+, linux-\w+\n$", run.Out);
    }

    [Fact]
    public async Task Version_as_json_is_one_document()
    {
        CliRun run = await CliRun.Of("version", "-o", "json");

        using JsonDocument document = JsonDocument.Parse(run.Out);
        Assert.Equal("10.0", document.RootElement.GetProperty("runtime").GetString()![..4]);
    }

    [Theory]
    [InlineData("", "clusterlb: a command is missing (there are agent,")]
    [InlineData("foo", "clusterlb: unknown command 'foo' (there are agent,")]
    [InlineData("bpf ct drop", "clusterlb bpf ct: unknown command 'drop' (there are list, flush); see 'clusterlb bpf ct --help'")]
    [InlineData("version -o xml", "clusterlb version: Argument 'xml' not recognized.")]
    [InlineData("version --nonsense", "clusterlb version: Unrecognized command or argument '--nonsense'")]
    [InlineData("bpf lb list --frontends --revnat", "clusterlb bpf lb list: --frontends, --backends, --revnat and --source-ranges exclude each other;")]
    [InlineData("dataplane --lease-fd 4", "clusterlb dataplane: Option '--control-fd' is required;")]
    [InlineData("successor --lease-fd 4", "clusterlb dataplane: Option '--control-fd' is required;")]
    [InlineData("monitor -t everything", "clusterlb monitor: Argument 'everything' not recognized.")]
    [InlineData("agent --v banana", "clusterlb agent: 'banana' is not a number from 0 to 2147483647; see 'clusterlb agent --help'")]
    [InlineData("agent --v=abc", "clusterlb agent: 'abc' is not a number from 0 to 2147483647;")]
    [InlineData("dataplane --control-fd=abc --lease-fd 4", "clusterlb dataplane: 'abc' is not a number from 0 to 2147483647;")]
    [InlineData("lab connect 10.0.0.1:80 --protocol=abc", "clusterlb lab connect: Cannot parse argument 'abc' for option '--protocol'. Did you mean one of the following? Http Tcp Udp;")]
    [InlineData("lab up --mtu=abc", "clusterlb lab up: 'abc' is not a number")]
    [InlineData("bpf ct list --port 99999", "clusterlb bpf ct list: '99999' is not a number from 0 to 65535;")]
    [InlineData("bpf ct flush --client web", "clusterlb bpf ct flush: 'web' is not an IP address;")]
    [InlineData("agent --cluster-cidr=10.0.0.0/8", "clusterlb agent: Unrecognized command or argument '--cluster-cidr=10.0.0.0/8'; what else kube-proxy has as a flag is a field of the file of --config;")]
    [InlineData("service get", "clusterlb service get: Required argument")]
    public async Task A_command_line_that_is_not_understood_is_one_line_and_status_2(string line, string says)
    {
        CliRun run = await CliRun.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal(2, run.Status);
        Assert.Empty(run.Out);
        Assert.StartsWith(says, run.Error, StringComparison.Ordinal);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
    }

    [Fact]
    public async Task Every_option_of_every_verb_without_its_value_or_with_nonsense_is_one_line_and_status_2()
    {
        string[] lines = [.. Leaves(CommandLine.Create(Terminal.OfProcess()), "").SelectMany(Mistakes)];

        Assert.Contains("explain --vectors", lines);
        Assert.Contains("bpf lb list --frontends=nonsense", lines);
        foreach (string line in lines)
        {
            CliRun run = await CliRun.Of(line.Split(' '));
            Assert.True(run.Status == 2, $"{line}: status {run.Status}, {run.Error}");
            Assert.True(run.Error.Count(c => c == '\n') == 1, $"{line}: {run.Error}");
            Assert.StartsWith("clusterlb ", run.Error, StringComparison.Ordinal);
        }

        static IEnumerable<(Command Verb, string Line)> Leaves(Command command, string line) => command.Subcommands.Count == 0
            ? [(command, line)]
            : command.Subcommands.SelectMany(child => Leaves(child, $"{line} {child.Name}".Trim()));

        static IEnumerable<string> Mistakes((Command Verb, string Line) leaf) => leaf.Verb.Options
            .Where(option => option.ValueType == typeof(bool) || option.Arity.MinimumNumberOfValues > 0)
            .Select(option => $"{leaf.Line} {option.Name}{(option.ValueType == typeof(bool) ? "=nonsense" : "")}");
    }

    [Fact]
    public async Task Each_problem_of_a_configuration_stands_on_its_own_line_with_its_place()
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(
            file,
            """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            conntrack: {tcpEstablishedTimeout: 1d}
            ---
            apiVersion: clusterlb.io/v1alpha1
            kind: ClusterLbConfiguration
            maglev: {tableSize: 100}
            """);

        CliRun run = await CliRun.Of("agent", "--config", file, "--write-config-to", "/nonexistent/x");

        File.Delete(file);
        Assert.Equal(1, run.Status);
        string[] lines = run.Error.TrimEnd('\n').Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Equal("clusterlb: cannot use the configuration: 2 problems", lines[0]);
        Assert.StartsWith($"  {file}:3: conntrack.tcpEstablishedTimeout is '1d', but must be a duration", lines[1], StringComparison.Ordinal);
        Assert.StartsWith($"  {file}:7: maglev.tableSize is '100', but must be one of 251, ", lines[2], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bpf lb list", "cannot read the maps of ")]
    [InlineData("bpf ct list", "cannot read the flow tables of ")]
    [InlineData("service list", "cannot read the maps of ")]
    [InlineData("service get 1", "cannot read the maps of ")]
    [InlineData("status", "cannot read the maps of ")]
    [InlineData("monitor", "cannot monitor the dataplane of ")]
    [InlineData("explain tcp 10.0.0.1:1 10.96.0.1:80", "cannot read the maps of ")]
    public async Task Without_a_state_directory_it_says_what_failed_why_and_what_to_do(string line, string says)
    {
        string dir = Path.Combine(Path.GetTempPath(), "clusterlb-none-" + Guid.NewGuid());

        CliRun run = await CliRun.Of([.. line.Split(' '), "--state-dir", dir]);

        Assert.Equal(1, run.Status);
        Assert.Empty(run.Out);
        Assert.StartsWith($"clusterlb: {says}{dir}: ", run.Error, StringComparison.Ordinal);
        Assert.EndsWith("; start the agent first, or name its directory with --state-dir\n", run.Error, StringComparison.Ordinal);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
    }

    [Theory]
    [InlineData("tcp 10.0.0.1 10.96.0.1", "cannot explain a connection to 10.96.0.1: the port is missing; write ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")]
    [InlineData("tcp 10.0.0.1 10.96.0.1:99999", "cannot explain '10.96.0.1:99999': the port is not a number from 0 to 65535")]
    [InlineData("tcp 10.0.0.1 example.org:80", "cannot explain 'example.org:80': it is not an IP address with a port; write 10.96.0.10:80 or [fd00:96::10]:80")]
    [InlineData("tcp 10.0.0.1 [fd00::1]:80", "cannot explain 10.0.0.1 to [fd00::1]:80: one is IPv4, the other IPv6")]
    [InlineData("gre 10.0.0.1 10.96.0.1:80", "cannot explain protocol 'gre': it is not tcp, udp, sctp or icmp")]
    [InlineData("tcp 10.0.0.1 10.96.0.1:80 --manifests /nonexistent", "cannot read the manifests of /nonexistent: there is no such directory")]
    [InlineData("--vectors /nonexistent.json", "/nonexistent.json: there is no such file")]
    public async Task Explain_names_what_it_cannot_understand(string line, string says)
    {
        CliRun run = await CliRun.Of(["explain", .. line.Split(' ')]);

        Assert.Equal(says.StartsWith("cannot explain ", StringComparison.Ordinal) ? 2 : 1, run.Status); // 2: the command line was not understood
        Assert.EndsWith($": {says}\n", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ x", "line 1 is not JSON")]
    [InlineData("{\n\"cases\": 5 }", "line 2 is not as in a file of vectors: $.cases is of another kind, or lacks something")]
    [InlineData("{}", "line 1 is not as in a file of vectors: $ is of another kind, or lacks something")]
    [InlineData("null", "the file holds null instead of cases")]
    public async Task Explain_tells_where_a_file_is_not_one_of_vectors(string content, string says)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, content);

        CliRun run = await CliRun.Of("explain", "--vectors", file);

        File.Delete(file);
        Assert.Equal(1, run.Status);
        Assert.Equal($"clusterlb explain: {file}: {says}\n", run.Error);
    }

    [Theory]
    [InlineData(new string[0], "{")]
    [InlineData(new[] { "-o", "json" }, "{")]
    [InlineData(new[] { "-o", "table" }, "0 passed, 0 failed, 0 skipped")]
    public async Task Vectors_are_reported_in_JSON_unless_a_table_is_asked_for(string[] format, string starts)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, """{ "cases": [] }""");

        CliRun run = await CliRun.Of(["explain", "--vectors", file, .. format]);

        File.Delete(file);
        Assert.Equal(0, run.Status);
        Assert.StartsWith(starts, run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("tcp 10.0.0.1:1")]
    [InlineData("tcp 10.0.0.1:1 10.96.0.1:80 --vectors x.json")]
    public async Task Explain_wants_a_tuple_or_vectors(string line)
    {
        CliRun run = await CliRun.Of(["explain", .. line.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.Equal(2, run.Status);
        Assert.StartsWith("clusterlb explain: say either protocol, source and destination", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("agent")]
    [InlineData("bpf ct flush")]
    [InlineData("bpf ct list")]
    [InlineData("bpf lb list")]
    [InlineData("cleanup")]
    [InlineData("explain")]
    [InlineData("monitor")]
    [InlineData("service get")]
    [InlineData("service list")]
    [InlineData("status")]
    [InlineData("version")]
    public async Task Every_verb_explains_itself_and_takes_the_common_options(string verb)
    {
        CliRun run = await CliRun.Of([.. verb.Split(' '), "--help"]);

        Assert.Equal(0, run.Status);
        Assert.Contains("clusterlb " + verb, run.Out, StringComparison.Ordinal);
        Assert.Contains("--state-dir <DIR>", run.Out, StringComparison.Ordinal);
        Assert.Contains("-o, --output <table|json>", run.Out, StringComparison.Ordinal);
    }
}
