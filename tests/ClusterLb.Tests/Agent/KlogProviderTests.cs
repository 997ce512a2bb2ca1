using ClusterLb.Agent.Logging;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Tests.Agent;

public sealed class KlogProviderTests
{
    private readonly StringWriter _output = new();

    [Fact]
    public void A_line_has_severity_date_process_category_message_and_values()
    {
        Log().LogWarning("Steering repaired {Changes} {Device} {Elapsed}", 3, "clb0", TimeSpan.FromMilliseconds(1.5));
        Assert.Matches(@"^W1121 14:12:26\.710000 +\d+ Steering\] ""Steering repaired"" changes=3 device=""clb0"" elapsed=""1\.5ms""\n$", _output.ToString());
    }

    [Fact]
    public void A_sentence_with_values_in_its_middle_stays_a_sentence()
    {
        Log().LogInformation("Dataplane {Pid} serves {Queues} queues.", 7, 2);
        Assert.EndsWith("] \"Dataplane 7 serves 2 queues.\"\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_that_is_only_a_value_is_that_value_on_one_line()
    {
        Log().LogError("{Warning}", "two\nlines \"quoted\"");
        Assert.EndsWith("] \"two\\nlines \\\"quoted\\\"\"\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, LogLevel.Debug, false)]
    [InlineData(4, LogLevel.Debug, true)]
    [InlineData(4, LogLevel.Trace, false)]
    [InlineData(5, LogLevel.Trace, true)]
    [InlineData(0, LogLevel.Information, true)]
    public void Verbosity_is_klogs(int verbosity, LogLevel level, bool written) => Assert.Equal(written, Log(verbosity).IsEnabled(level));

    private ILogger Log(int verbosity = 0) => new KlogProvider(_output, verbosity, new FixedTime()).CreateLogger("ClusterLb.Agent.Steering");

    private sealed class FixedTime : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 11, 21, 14, 12, 26, TimeSpan.Zero).AddMilliseconds(710);
    }
}
