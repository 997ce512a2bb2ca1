using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Doctor.Checks;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent.Doctor;

/// <summary>What the doctor says of the kernel's flow table.</summary>
public sealed class KernelConntrackCheckTests
{
    private static readonly NodeEntry Ours = NodeEntry.Default with { TcpEstablishedTimeoutSeconds = 86_400 };

    [Fact]
    public void A_table_with_room_that_remembers_as_long_as_ours_is_well() =>
        AssertFinding(CheckVerdict.Ok, "89 of 100 entries; 5 packets dropped, 7 entries dropped to make room", 89, tcpLoose: 1, established: 86_400, Ours);

    [Fact]
    public void A_table_of_which_nine_tenths_are_used_fails() =>
        AssertFinding(CheckVerdict.Failed, "90 of 100 entries", 90, tcpLoose: 1, established: 86_400, Ours);

    [Fact]
    public void A_kernel_that_takes_no_connection_up_in_its_middle_is_a_warning() =>
        AssertFinding(CheckVerdict.Warning, "nf_conntrack_tcp_loose is 0", 10, tcpLoose: 0, established: 86_400, Ours);

    [Fact]
    public void A_kernel_that_forgets_connections_before_we_do_is_a_warning() =>
        AssertFinding(CheckVerdict.Warning, "nf_conntrack_tcp_timeout_established is 3600 s, ours 86400 s", 10, tcpLoose: 1, established: 3_600, Ours);

    [Fact]
    public void Where_nothing_is_installed_there_is_nothing_to_compare_with() =>
        AssertFinding(CheckVerdict.Ok, "10 of 100 entries", 10, tcpLoose: null, established: 3_600, ours: null);

    [Fact]
    public void A_state_directory_without_maps_is_no_failure_to_look()
    {
        string directory = Directory.CreateTempSubdirectory("clusterlb-test-").FullName;
        try
        {
            Assert.DoesNotContain("could not look", NodeDoctor.Run(new KernelConntrackCheck(), new NodeFacts { StateDirectory = directory }).Finding, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory);
        }
    }

    private static void AssertFinding(CheckVerdict verdict, string text, int count, long? tcpLoose, long? established, NodeEntry? ours)
    {
        Finding finding = KernelConntrackCheck.Judge(new KernelConntrackTable(count, 100, 5, 7), tcpLoose, established, ours);

        Assert.Equal(verdict, finding.Verdict);
        Assert.Contains(text, finding.Text, StringComparison.Ordinal);
        Assert.Equal(verdict == CheckVerdict.Ok, finding.Advice.Length == 0);
    }
}
