using ClusterLb.Agent.Steering;

namespace ClusterLb.Tests.Agent;

public sealed class RoutingSnapshotTests
{
    [Theory]
    [InlineData("Object \"rule\" is unknown")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("[{\"mtu\":\"many\"}]")]
    [InlineData("[{}]")]
    public void Odd_output_of_ip_is_a_failure_of_steering(string text)
    {
        SteeringException e = Assert.Throws<SteeringException>(
            () => RoutingSnapshot.Read(text, list => list[0].GetProperty("mtu").GetInt32()));

        Assert.EndsWith(text, e.Message, StringComparison.Ordinal);
    }
}
