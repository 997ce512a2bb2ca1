using System.Text.Json;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Tests.ControlPlane.Kubernetes;

/// <summary>spec.loadBalancerSourceRanges with entries that are no address block.</summary>
public sealed class SourceRangeReaderTests
{
    private const string Open = "no valid range is left: everyone is let in";

    [Theory]
    [InlineData("nonsense")]
    [InlineData("10.0.0.0/99", "")]
    public void When_no_valid_range_is_left_the_report_says_that_everyone_is_let_in(params string[] ranges)
    {
        KubernetesObject read = Read(ranges);

        Assert.Empty(((Service)read.Value!).SourceRanges);
        Assert.Equal(ranges.Length + 1, read.Problems.Length);
        Assert.Contains(read.Problems, p => p.Field == "spec.loadBalancerSourceRanges" && p.Reason == Open);
    }

    [Fact]
    public void A_valid_range_beside_an_invalid_one_still_limits()
    {
        KubernetesObject read = Read("nonsense", "10.0.0.0/8");

        Assert.Equal([IpPrefix.Parse("10.0.0.0/8")], ((Service)read.Value!).SourceRanges.AsEnumerable());
        Assert.Equal("spec.loadBalancerSourceRanges[0]", Assert.Single(read.Problems).Field);
    }

    [Fact]
    public void A_service_without_ranges_has_nothing_to_report() => Assert.Empty(Read().Problems);

    private static KubernetesObject Read(params string[] ranges)
    {
        var item = new
        {
            apiVersion = "v1",
            kind = "Service",
            metadata = new { name = "web", @namespace = "shop" },
            spec = new { type = "LoadBalancer", clusterIP = "10.96.0.10", ports = new[] { new { port = 80 } }, loadBalancerSourceRanges = ranges },
        };
        return new ObjectReader().Read(JsonSerializer.SerializeToElement(item), "test", [])!;
    }
}
