using System.Text.Json;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Doctor;

/// <summary>`clusterlb doctor` on nodes that serve.</summary>
[Collection(LabCollection.Name)]
public sealed class DoctorTests(LabFixture fixture)
{
    [LabFact]
    public async Task A_node_that_serves_has_no_failed_check_and_all_capabilities_that_steering_needs()
    {
        await Eventually.IsAsync("node-a is well", () => fixture.Clusterlb("node-a", "doctor").ExitCode == 0);
        using JsonDocument json = JsonDocument.Parse(fixture.Clusterlb("node-a", "doctor", "-o", "json").Output);

        Assert.DoesNotContain(json.RootElement.GetProperty("checks").EnumerateArray(), check => check.GetProperty("verdict").GetString() == "failed");
        Dictionary<string, string> here = json.RootElement.GetProperty("capabilities").EnumerateArray()
            .ToDictionary(row => row.GetProperty("name").GetString()!, row => row.GetProperty("state").GetString()!);
        Assert.All(
            here.Where(row => row.Key.StartsWith("nft", StringComparison.Ordinal) || row.Key.StartsWith("TUN", StringComparison.Ordinal)),
            row => Assert.Equal((row.Key, "yes"), (row.Key, row.Value)));
    }

    [LabFact]
    public void Status_prints_the_same_table_of_capabilities()
    {
        string[] status = Table(fixture.Clusterlb("node-a", "status"));
        string[] doctor = Table(fixture.Clusterlb("node-a", "doctor"));

        Assert.NotEmpty(status);
        Assert.Equal(doctor, status);
    }

    [LabFact]
    public void The_kernels_flow_table_is_listed_among_ours()
    {
        Assert.Matches(@"\nnf_conntrack +\d+ +\d+ +\d", fixture.Clusterlb("node-a", "status").Output);
        Assert.Matches("kernel conntrack +ok +[0-9]+ of [0-9]+ entries", fixture.Clusterlb("node-a", "doctor").Output);
    }

    private static string[] Table(ToolResult said) =>
    [
        .. said.Output.Split('\n').SkipWhile(line => !line.StartsWith("CAPABILITY", StringComparison.Ordinal)).TakeWhile(line => line.Length > 0),
    ];
}
