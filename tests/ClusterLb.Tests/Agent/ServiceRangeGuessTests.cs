using ClusterLb.Agent.Network;
using ClusterLb.Dataplane;

namespace ClusterLb.Tests.Agent;

public sealed class ServiceRangeGuessTests
{
    private readonly ServiceRangeGuess _guess = new();

    [Fact]
    public void One_address_is_one_address() => Assert.Equal(["10.96.0.1/32"], Ranges("10.96.0.1"));

    [Fact]
    public void Addresses_of_one_usual_range_share_the_smallest_block_that_covers_them() =>
        Assert.Equal(["10.96.0.0/20", "fd00:10:96::/125"], Ranges("10.96.0.1", "10.96.8.77", "10.96.0.10", "fd00:10:96::1", "fd00:10:96::7"));

    [Fact]
    public void Addresses_too_far_apart_do_not_share_a_block() => Assert.Equal(["10.96.0.1/32", "172.20.0.10/32"], Ranges("10.96.0.1", "172.20.0.10"));

    [Fact]
    public void A_block_never_swallows_the_node_or_its_pods()
    {
        Ranges("10.0.0.1", "10.0.9.1");
        Assert.Equal(["10.0.0.1/32", "10.0.9.1/32"], Texts([IpAddr.Parse("10.0.5.5")], []));
        Assert.Equal(["10.0.0.1/32", "10.0.9.1/32"], Texts([], [IpPrefix.Parse("10.0.4.0/24")]));
        Assert.Equal(["10.0.0.0/20"], Texts([IpAddr.Parse("10.1.5.5")], [IpPrefix.Parse("10.244.0.0/16")]));
    }

    private string[] Ranges(params string[] clusterIps)
    {
        foreach (string address in clusterIps)
        {
            _guess.Add(IpAddr.Parse(address));
        }

        return Texts([], []);
    }

    private string[] Texts(IpAddr[] nodeAddresses, IpPrefix[] podRanges) => [.. _guess.Ranges(nodeAddresses, podRanges).Select(range => range.ToString())];
}
