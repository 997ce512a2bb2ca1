using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Doctor.Checks;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent.Doctor;

/// <summary>What the doctor says of source ports, by the kernel's settings.</summary>
public sealed class SourcePortCheckTests
{
    private static readonly SnatPortRanges Reserved = new(61_000, 65_535);

    [Fact]
    public void Ports_that_the_kernel_keeps_for_itself_are_well() =>
        AssertFinding(CheckVerdict.Ok, "61000-65535,1024-29999: 33512 to each backend", SnatPortRanges.Default, (32_768, 60_999), "");

    [Fact]
    public void A_node_with_fewer_than_configured_is_told() =>
        AssertFinding(CheckVerdict.Warning, "61000-65535: 4536 to each backend; 61000-65535,1024-29999 are configured", Reserved, (1_024, 65_535), "61000-65535");

    [Fact]
    public void A_node_on_which_nothing_is_installed_is_told_what_would_be_left() =>
        AssertFinding(CheckVerdict.Warning, "61000-65535,1024-9999: 13512 to each backend", used: null, (10_000, 65_535), "");

    [Theory]
    [InlineData("61000-65535", "the kernel gives 1024-29999 to this node's own connections (net.ipv4.ip_local_port_range is 1024-65535)")] // widened with the agent dead
    [InlineData("1024-29999", "the kernel gives 61000-65535 to this node's own")] // given back
    public void Ports_that_the_node_has_itself_are_a_failure(string reserved, string told) =>
        AssertFinding(CheckVerdict.Failed, told, SnatPortRanges.Default, (1_024, 65_535), reserved);

    private static void AssertFinding(CheckVerdict verdict, string text, SnatPortRanges? used, (int First, int Last) ephemeral, string reserved)
    {
        Finding finding = SourcePortCheck.Judge(SnatPortRanges.Default, used, ephemeral, reserved, hasAgent: false);

        Assert.Equal(verdict, finding.Verdict);
        Assert.Contains(text, finding.Text, StringComparison.Ordinal);
    }
}
