using ClusterLb.Dataplane.Host;

namespace ClusterLb.Tests.Dataplane.Host;

public sealed class DataplaneRehearsalTests
{
    [Fact]
    public void A_connection_of_each_family_is_translated_there_and_back() => Assert.Equal(4, DataplaneRehearsal.Run(patienceMs: 30_000));
}
