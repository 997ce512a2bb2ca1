using ClusterLb.Agent;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent;

public sealed class ClusterNetworkTests
{
    private readonly ClusterStateStore _store = new("node-1");
    private readonly ClusterNetwork _network;

    public ClusterNetworkTests() => _network = new ClusterNetwork(new AgentOptions { NodeName = "node-1" }, _store);

    [Fact]
    public void Services_that_were_there_and_services_that_come_later_make_the_guess()
    {
        Put("a", "10.96.0.1");
        Assert.Equal(["10.96.0.1/32"], Ranges());
        Put("b", "10.96.0.9");
        Put("c", "10.96.1.9");
        Assert.Equal(["10.96.0.0/23"], Ranges());
        Assert.Equal(["10.96.0.0/23"], Ranges());
    }

    [Fact]
    public void What_came_while_the_cluster_named_its_ranges_makes_the_guess_afterwards()
    {
        Put("a", "10.96.0.1");
        Ranges();
        _store.SetServiceCidrs([IpPrefix.Parse("10.96.0.0/16")]);
        Assert.Equal(["10.96.0.0/16"], Ranges());
        Put("b", "10.96.1.9");
        _store.SetServiceCidrs([]);
        Assert.Equal(["10.96.0.0/23"], Ranges());
    }

    [Theory]
    [InlineData(DetectLocalMode.BridgeInterface, "cni0", "cni0", true)]
    [InlineData(DetectLocalMode.BridgeInterface, "cni0", "cni01", false)]
    [InlineData(DetectLocalMode.InterfaceNamePrefix, "veth", "veth7a", true)]
    [InlineData(DetectLocalMode.InterfaceNamePrefix, "veth", "eth0", false)]
    [InlineData(DetectLocalMode.ClusterCidr, "", "eth0", false)]
    public void Interfaces_of_pods_are_told_by_their_name(DetectLocalMode mode, string given, string name, bool isLocal) =>
        Assert.Equal(isLocal, new AgentOptions { DetectLocalMode = mode, LocalInterface = given }.IsLocalInterface(name));

    [Theory]
    [InlineData("10.244.1.0/24", "fd00::/64", "None")]
    [InlineData("10.244.1.0/24", null, "None")]
    [InlineData(null, null, "None")] // a node without a pod: nobody is one, and that is known
    public void Whoever_is_behind_the_interface_of_pods_is_a_pod(string? ipv4, string? ipv6, string flags)
    {
        var network = new ClusterNetwork(new AgentOptions { DetectLocalMode = DetectLocalMode.BridgeInterface, LocalInterface = "cni0" }, _store);
        IpPrefix[] behind = [.. new[] { ipv4, ipv6 }.OfType<string>().Select(IpPrefix.Parse)];

        NodeImage image = NodeImage.Compile(network.Inputs([], [.. behind]), node: null);

        Assert.Equal(behind, image.Networks.Where(n => n.Value.HasFlag(NetworkFlags.PodRange)).Select(n => n.Key).Order());
        Assert.Equal(flags, (image.Node.Flags & (NodeFlags.NoLocalDetection | NodeFlags.NoIpv4Detection | NodeFlags.NoIpv6Detection)).ToString());
    }

    private void Put(string name, string clusterIp) =>
        _store.Put(new Service { Name = new ObjectName("default", name), ClusterIps = [IpAddr.Parse(clusterIp)] });

    private string[] Ranges() => [.. _network.Inputs([], []).ServiceRanges.Select(range => range.ToString())];
}
