using ClusterLb.Dataplane;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Tests.Lab;

public sealed class LabTopologyTests
{
    private static readonly LabTopology Topology = LabTopology.Default;

    [Fact]
    public void No_address_is_given_twice()
    {
        IpAddr[] addresses =
        [
            LabTopology.ClientIpv4, LabTopology.ClientIpv6, LabTopology.NodeGateway4, LabTopology.NodeGateway6,
            .. Topology.Nodes.SelectMany(n => (IpAddr[])[n.Ipv4, n.Ipv6]),
            .. Topology.Pods.Where(p => !p.HostNetwork).SelectMany(p => (IpAddr[])[p.Ipv4, p.Ipv6]),
            .. Topology.Services.SelectMany(s => (IpAddr[])[s.Ipv4, s.Ipv6]),
        ];

        Assert.Equal(addresses.Length, addresses.Distinct().Count());
    }

    [Fact]
    public void Addresses_lie_in_the_ranges_that_the_agents_are_told()
    {
        Assert.All(Topology.Pods.Where(p => !p.HostNetwork), p => Assert.True(
            LabTopology.PodCidr4.Contains(p.Ipv4) && LabTopology.PodCidr6.Contains(p.Ipv6)
            && p.Node.PodCidr4.Contains(p.Ipv4) && p.Node.PodCidr6.Contains(p.Ipv6), p.Name));
        Assert.All(Topology.Services, s => Assert.True(
            LabTopology.ServiceCidr4.Contains(s.Ipv4) && LabTopology.ServiceCidr6.Contains(s.Ipv6), s.Name));
    }

    [Fact]
    public void Interface_names_fit_the_kernel() =>
        Assert.All(Topology.Pods, p => Assert.True(p.NodeInterface.Length <= 15, p.NodeInterface));

    [Theory]
    [InlineData("", 1500, 1)]
    [InlineData("with-dash", 1500, 1)] // would be taken for a member of lab "with"
    [InlineData("averyveryverylongname", 1500, 1)]
    [InlineData("Upper", 1000, 2)]
    [InlineData("clblab", 65536, 1)]
    [InlineData("clblab", 9000, 0)]
    public void Options_name_every_problem(string name, int mtu, int problems) =>
        Assert.Equal(problems, new LabOptions { Name = name, Mtu = mtu, Program = ["clusterlb"] }.Problems().Count());
}
