using ClusterLb.Agent.DataplaneChild;

namespace ClusterLb.Tests.Agent.DataplaneChild;

public sealed class DataplaneCommandTests
{
    [Theory]
    [InlineData("/usr/bin/clusterlb", "/usr/bin/clusterlb")]
    [InlineData("/opt/clusterlb-1.2", "/opt/clusterlb-1.2")]
    [InlineData("/opt/lb/agent", "/opt/lb/agent")]
    [InlineData("/usr/share/dotnet/dotnet", "/usr/share/dotnet/dotnet /app/clusterlb.dll")]
    public void The_program_may_have_any_name(string process, string expected) =>
        Assert.Equal(expected, string.Join(' ', DataplaneCommand.Of(process, "/app").Program));
}
