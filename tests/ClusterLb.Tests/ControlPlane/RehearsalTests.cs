using ClusterLb.ControlPlane;

namespace ClusterLb.Tests.ControlPlane;

public class RehearsalTests
{
    [Fact]
    public void Every_change_of_the_made_up_service_is_written_in_both_families() => Assert.InRange(Rehearsal.Run(), 20, 1000);
}
