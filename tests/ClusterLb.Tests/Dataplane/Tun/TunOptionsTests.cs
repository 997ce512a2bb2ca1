using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Tests.Dataplane.Tun;

public sealed class TunOptionsTests
{
    [Fact]
    public void The_defaults_are_fine() => Assert.Empty(new TunOptions().Problems());

    [Theory]
    [InlineData("")]
    [InlineData("a-name-of-16-chr")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("..")]
    public void A_name_that_no_interface_can_have_is_a_problem(string name) =>
        Assert.Single(new TunOptions { Name = name }.Problems());

    [Fact]
    public void All_problems_are_told_at_once() => Assert.Equal(2, new TunOptions { Name = "", Queues = 0 }.Problems().Count());
}
