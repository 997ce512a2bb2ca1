using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Tests.ControlPlane.Model;

public sealed class ObjectNameTests
{
    [Fact]
    public void A_name_reads_as_kubectl_would_write_it_and_a_missing_one_as_missing()
    {
        Assert.Equal("default/web", new ObjectName("default", "web").ToString());
        Assert.Equal("node-a", new ObjectName("", "node-a").ToString());
        Assert.Equal("(without a name)", default(ObjectName).ToString());
        Assert.Equal("API server: Service (without a name): bad", new ObjectProblem("API server", "Service", default, "", "bad").ToString());
    }
}
