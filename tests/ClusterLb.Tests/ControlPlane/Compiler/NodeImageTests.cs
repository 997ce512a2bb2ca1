using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.ControlPlane.Compiler;

public sealed class NodeImageTests
{
    private static readonly IpAddr[] Addresses =
        [IpAddr.Parse("127.0.0.1"), IpAddr.Parse("169.254.1.1"), IpAddr.Parse("10.0.0.1"), IpAddr.Parse("192.168.0.2"), IpAddr.Parse("fe80::1"), IpAddr.Parse("fd00::2")];

    [Fact]
    public void Without_a_node_object_the_first_ordinary_address_masquerades()
    {
        NodeImage image = NodeImage.Compile(new NetworkInputs { NodeAddresses = [.. Addresses] }, null);
        Assert.Equal("10.0.0.1", image.Node.PrimaryIpv4.ToString());
        Assert.Equal("fd00::2", image.Node.PrimaryIpv6.ToString());
    }

    [Fact]
    public void The_node_object_names_the_primary_address_if_the_node_has_it()
    {
        var node = new LocalNode { Name = "node-a", Addresses = [IpAddr.Parse("192.168.0.99"), IpAddr.Parse("192.168.0.2")] };
        Assert.Equal("192.168.0.2", NodeImage.Compile(new NetworkInputs { NodeAddresses = [.. Addresses] }, node).Node.PrimaryIpv4.ToString());
    }

    [Fact]
    public void A_configured_primary_address_wins()
    {
        var inputs = new NetworkInputs { NodeAddresses = [.. Addresses], PrimaryIpv4 = IpAddr.Parse("192.168.0.2"), NodePortsOnPrimaryOnly = true };
        NodeImage image = NodeImage.Compile(inputs, null);
        Assert.Equal("192.168.0.2", image.Node.PrimaryIpv4.ToString());
        Assert.Equal(NetworkFlags.NodeAddress | NetworkFlags.NodePortAddress, image.Networks[IpPrefix.Parse("192.168.0.2/32")]);
        Assert.Equal(NetworkFlags.NodeAddress, image.Networks[IpPrefix.Parse("10.0.0.1/32")]);
    }

    [Fact]
    public void A_node_without_IPv6_has_no_IPv6_primary()
    {
        Assert.Equal(default, NodeImage.Compile(new NetworkInputs { NodeAddresses = [Addresses[2]] }, null).Node.PrimaryIpv6);
    }

    [Theory]
    [InlineData(LocalDetection.PodRanges, "10.244.0.0/16", NodeFlags.NoIpv6Detection)]
    [InlineData(LocalDetection.PodRanges, "fd00:244::/56", NodeFlags.NoIpv4Detection)]
    [InlineData(LocalDetection.PodRanges, "10.244.0.0/16,fd00:244::/56", NodeFlags.None)]
    [InlineData(LocalDetection.PodRanges, "", NodeFlags.NoLocalDetection)]
    [InlineData(LocalDetection.None, "10.244.0.0/16,fd00:244::/56", NodeFlags.NoLocalDetection)]
    [InlineData(LocalDetection.NodePodRanges, "10.244.0.0/16", NodeFlags.NoLocalDetection)]
    public void A_family_without_a_pod_range_has_no_detector(LocalDetection detection, string ranges, NodeFlags want)
    {
        var inputs = new NetworkInputs
        {
            Detection = detection,
            PodRanges = [.. ranges.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(IpPrefix.Parse)],
            LocalhostNodePorts = false,
        };
        Assert.Equal(want, NodeImage.Compile(inputs, null).Node.Flags);
    }

    [Fact]
    public void One_block_may_be_several_things()
    {
        var inputs = new NetworkInputs { PodRanges = [IpPrefix.Parse("10.0.0.1/32")], NodeAddresses = [IpAddr.Parse("10.0.0.1")], NodePortRanges = [IpPrefix.Parse("192.168.0.0/16")] };
        Assert.Equal(NetworkFlags.PodRange | NetworkFlags.NodeAddress, NodeImage.Compile(inputs, null).Networks[IpPrefix.Parse("10.0.0.1/32")]);
    }
}
