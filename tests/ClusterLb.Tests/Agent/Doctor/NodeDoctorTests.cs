using ClusterLb.Agent.Doctor;

namespace ClusterLb.Tests.Agent.Doctor;

/// <summary>How the doctor runs its checks, whatever they find.</summary>
public sealed class NodeDoctorTests
{
    [Fact]
    public void Every_check_has_a_name_of_its_own()
    {
        string[] names = [.. NodeDoctor.Checks.Select(check => check.Name)];

        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
    }

    [Fact]
    public void A_check_that_cannot_look_tells_so_in_its_own_row()
    {
        CheckResult result = NodeDoctor.Run(
            new BrokenCheck(new InvalidOperationException("'nft list' failed", new UnauthorizedAccessException("no right"))), Node);

        Assert.Equal(new CheckResult("broken", CheckVerdict.Warning, "could not look: 'nft list' failed", "not known", "run as root"), result);
    }

    [Fact]
    public async Task A_node_where_nothing_was_ever_installed_can_be_examined()
    {
        DoctorReport report = await NodeDoctor.ExamineAsync("/run/clusterlb-of-nobody");

        Assert.Equal(NodeDoctor.Checks.Select(check => check.Name), report.Checks.Select(check => check.Name));
        Assert.Equal(CheckVerdict.NotApplicable, report.Checks.Single(check => check.Name == "agent").Verdict);
        Assert.NotEmpty(report.Capabilities);
    }

    [Theory]
    [InlineData(CheckVerdict.Ok, true)]
    [InlineData(CheckVerdict.Warning, true)]
    [InlineData(CheckVerdict.NotApplicable, true)]
    [InlineData(CheckVerdict.Failed, false)]
    public void Only_a_failed_check_makes_a_node_unhealthy(CheckVerdict verdict, bool healthy) =>
        Assert.Equal(healthy, new DoctorReport([new CheckResult("a", CheckVerdict.Ok, "", "", ""), new CheckResult("b", verdict, "", "", "")], []).IsHealthy);

    private static NodeFacts Node => new() { StateDirectory = "/run/clusterlb-of-nobody" };

    private sealed class BrokenCheck(Exception problem) : ICheck
    {
        public string Name => "broken";

        public Finding Look(NodeFacts node) => throw problem;
    }
}
