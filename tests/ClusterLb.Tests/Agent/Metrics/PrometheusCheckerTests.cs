using ClusterLb.Testing.Metrics;

namespace ClusterLb.Tests.Agent.Metrics;

/// <summary>The checker refuses what Prometheus refuses.</summary>
public sealed class PrometheusCheckerTests
{
    [Theory]
    [InlineData("no help", "# TYPE a_total counter\na_total 1\n")]
    [InlineData("no type", "# HELP a_total A.\na_total 1\n")]
    [InlineData("no series", "# HELP a_total A.\n# TYPE a_total counter\n")]
    [InlineData("counter by another name", "# HELP a A.\n# TYPE a counter\na 1\n")]
    [InlineData("a series twice", "# HELP a A.\n# TYPE a gauge\na 1\na 2\n")]
    [InlineData("a family twice", "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n")]
    [InlineData("a label without quotes", "# HELP a A.\n# TYPE a gauge\na{b=c} 1\n")]
    [InlineData("a quote in a label", "# HELP a A.\n# TYPE a gauge\na{b=\"c\"d\"} 1\n")]
    [InlineData("a comma at the end", "# HELP a A.\n# TYPE a gauge\na{b=\"c\",} 1\n")]
    [InlineData("infinity by another name", "# HELP a A.\n# TYPE a gauge\na Infinity\n")]
    [InlineData("buckets that fall", "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n")]
    [InlineData("no infinite bucket", "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n")]
    [InlineData("no newline at the end", "# HELP a A.\n# TYPE a gauge\na 1")]
    public void Refuses(string because, string text) => Assert.True(Record.Exception(() => PrometheusChecker.Read(text)) is FormatException, because);

    [Fact]
    public void Accepts_what_is_right() =>
        Assert.Equal(3, PrometheusChecker.Read(
            "# HELP a A \\\\ b\\n.\n# TYPE a gauge\na{b=\"\\\"c\\\\\",d=\"\"} +Inf\n# HELP b_total B.\n# TYPE b_total counter\nb_total 1E+06\n" +
            "# HELP c C.\n# TYPE c histogram\nc_bucket{le=\"0.1\"} 1\nc_bucket{le=\"+Inf\"} 2\nc_sum 3.5\nc_count 2\n").Count);
}
