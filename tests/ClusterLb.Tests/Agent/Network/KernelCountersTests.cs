using ClusterLb.Agent.Network;

namespace ClusterLb.Tests.Agent.Network;

/// <summary>/proc/net/netstat: pairs of lines.</summary>
public sealed class KernelCountersTests
{
    private static readonly string[] Lines =
    [
        "TcpExt: SyncookiesSent IPReversePathFilter",
        "TcpExt: 0 17",
        "IpExt: InOctets OutOctets",
        "IpExt: 4000000000000 5",
    ];

    [Theory]
    [InlineData("TcpExt", "IPReversePathFilter", 17L)]
    [InlineData("IpExt", "InOctets", 4_000_000_000_000L)]
    [InlineData("IpExt", "IPReversePathFilter", null)]
    [InlineData("MPTcpExt", "InOctets", null)]
    public void A_counter_is_found_by_group_and_name(string group, string counter, long? want) =>
        Assert.Equal(want, KernelCounters.Find(Lines, group, counter));
}
