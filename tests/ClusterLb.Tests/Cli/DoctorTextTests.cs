using System.Text.Json;
using ClusterLb.Agent.Capabilities;
using ClusterLb.Agent.Doctor;
using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

/// <summary>How <c>clusterlb doctor</c> tells what it found.</summary>
public sealed class DoctorTextTests
{
    private static readonly DoctorReport Report = new(
        [
            new CheckResult("agent", CheckVerdict.Ok, "pid 7", "", ""),
            new CheckResult("forward policy", CheckVerdict.Failed, "FORWARD drops", "no pod reaches a service", "set steering.acceptForwarding"),
            new CheckResult("leftovers", CheckVerdict.NotApplicable, "none", "", ""),
        ],
        [
            new Capability("nft", CapabilityState.Yes, "nftables v1.0.6", "the agent does not start"),
            new Capability("cgroup2", CapabilityState.No, "not mounted", "nothing today"),
        ]);

    [Fact]
    public void What_it_costs_and_what_to_do_stand_below_the_finding() => Assert.Equal(
        """
        CHECK            VERDICT          FINDING
        agent            ok               pid 7
        forward policy   FAILED           FORWARD drops
                                          costs: no pod reaches a service
                                          do: set steering.acceptForwarding
        leftovers        not applicable   none

        CAPABILITY   HERE   DETAIL
        nft          yes    nftables v1.0.6
        cgroup2      NO     not mounted; without it: nothing today

        3 checks: 1 failed, 0 warnings

        """,
        CliRun.Text(terminal => DoctorText.Write(Report, terminal)));

    [Fact]
    public void Json_has_the_same_words()
    {
        using JsonDocument json = JsonDocument.Parse(JsonSerializer.Serialize(Report, OutputJson.Readable.DoctorReport));

        Assert.Equal("not applicable", json.RootElement.GetProperty("checks")[2].GetProperty("verdict").GetString());
        Assert.Equal("set steering.acceptForwarding", json.RootElement.GetProperty("checks")[1].GetProperty("advice").GetString());
        Assert.Equal("no", json.RootElement.GetProperty("capabilities")[1].GetProperty("state").GetString());
        Assert.False(json.RootElement.GetProperty("isHealthy").GetBoolean());
    }
}
