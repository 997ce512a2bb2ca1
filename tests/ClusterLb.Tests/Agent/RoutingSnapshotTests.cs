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

    /// <summary>As iproute2 6.1 writes them: a mask of all ones is left out, a mark of 0 is not.</summary>
    [Theory]
    [InlineData("""{"priority":0,"src":"all","table":"255"}""", "0 lookup local")]
    [InlineData("""{"priority":20,"src":"all","fwmark":"0x10000","fwmask":"0x10000","table":"210"}""", "20 fwmark 0x10000/0x10000 lookup 210")]
    [InlineData("""{"priority":20,"src":"all","fwmark":"0x10000","fwmask":"0x30000","table":"210"}""", "20 fwmark 0x10000/0x30000 lookup 210")]
    [InlineData("""{"priority":21,"src":"all","fwmark":"0x5","table":"211"}""", "21 fwmark 0x5/0xffffffff lookup 211")]
    [InlineData("""{"priority":22,"src":"all","fwmark":"0","fwmask":"0x10000","table":"212"}""", "22 fwmark 0/0x10000 lookup 212")]
    public void A_rule_keeps_its_mark_and_its_mask(string json, string line) =>
        Assert.Equal(line, RoutingSnapshot.Read(json, RoutingSnapshot.Rule));
}
