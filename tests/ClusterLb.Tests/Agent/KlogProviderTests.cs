using ClusterLb.Agent;
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
        Assert.Matches(@"^W1121 14:12:26\.710000 +\d+ Steering\.cs:1\] ""Steering repaired"" changes=3 device=""clb0"" elapsed=""1\.5ms""\n$", _output.ToString());
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

    [Fact]
    public void Values_are_quoted_as_klog_does()
    {
        Log().LogInformation(
            "Syncing rules {IpFamily} {FullSync} {Elapsed} {Endpoints} {Nothing}", "IPv4", false, TimeSpan.FromSeconds(90), new[] { "10.0.0.1:80", "a\tb" }, null);
        Assert.EndsWith(
            "] \"Syncing rules\" ipFamily=\"IPv4\" fullSync=false elapsed=\"1m30s\" endpoints=[\"10.0.0.1:80\",\"a\\tb\"] nothing=null\n",
            _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Life_cycle_is_level_2()
    {
        Log(1).LogInformation(KlogLevel.Lifecycle, "Opening healthcheck {Port}", 32100);
        Assert.Empty(_output.ToString());
        Log(2).LogInformation(KlogLevel.Lifecycle, "Opening healthcheck {Port}", 32100);
        Assert.EndsWith("\"Opening healthcheck\" port=32100\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_of_JSON_has_the_keys_of_Kubernetes_log()
    {
        Log(4, LogFormat.Json).LogDebug("SyncProxyRules complete {Elapsed} {FullSync}", TimeSpan.FromMilliseconds(1.5), true);
        Log(4, LogFormat.Json).LogError(new InvalidOperationException("no \"room\""), "Sync failed {Maps}", (object)new[] { "services4" });
        string[] lines = _output.ToString().Split('\n');
        Assert.Equal("{\"ts\":1795270346710,\"caller\":\"Steering.cs:1\",\"msg\":\"SyncProxyRules complete\",\"v\":4,\"elapsed\":\"1.5ms\",\"fullSync\":true}", lines[0]);
        Assert.StartsWith(
            "{\"ts\":1795270346710,\"caller\":\"Steering.cs:1\",\"msg\":\"Sync failed\",\"maps\":[\"services4\"],\"err\":\"System.InvalidOperationException: no \\\"room\\\"", lines[1],
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, LogLevel.Debug, false)]
    [InlineData(4, LogLevel.Debug, true)]
    [InlineData(4, LogLevel.Trace, false)]
    [InlineData(5, LogLevel.Trace, true)]
    [InlineData(0, LogLevel.Information, true)]
    public void Verbosity_is_klogs(int verbosity, LogLevel level, bool written) => Assert.Equal(written, Log(verbosity).IsEnabled(level));

    private ILogger Log(int verbosity = 0, LogFormat format = LogFormat.Text) => new KlogProvider(_output, verbosity, format, new FixedTime()).CreateLogger("ClusterLb.Agent.Steering");

    private sealed class FixedTime : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 11, 21, 14, 12, 26, TimeSpan.Zero).AddMilliseconds(710);
    }
}
