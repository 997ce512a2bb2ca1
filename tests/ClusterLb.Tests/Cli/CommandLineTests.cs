using System.Text.Json;

namespace ClusterLb.Tests.Cli;

public sealed class CommandLineTests
{
    [Fact]
    public async Task Version_prints_one_line()
    {
        CliRun run = await CliRun.Of("version");

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
    [InlineData("bpf lb list --frontends --revnat", "clusterlb bpf lb list: --frontends, --backends and --revnat exclude each other;")]
    [InlineData("dataplane --lease-fd 4", "clusterlb dataplane: Option '--control-fd' is required;")]
    [InlineData("monitor -t everything", "clusterlb monitor: Argument 'everything' not recognized.")]
    [InlineData("service get", "clusterlb service get: Required argument")]
    public async Task A_command_line_that_is_not_understood_is_one_line_and_status_2(string line, string says)
    {
        CliRun run = await CliRun.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal(2, run.Status);
        Assert.Empty(run.Out);
        Assert.StartsWith(says, run.Error, StringComparison.Ordinal);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
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
