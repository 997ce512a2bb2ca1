using ClusterLb.Agent;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

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

    private void Put(string name, string clusterIp) =>
        _store.Put(new Service { Name = new ObjectName("default", name), ClusterIps = [IpAddr.Parse(clusterIp)] });

    private string[] Ranges() => [.. _network.Inputs([]).ServiceRanges.Select(range => range.ToString())];
}
