using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>The stage itself, before ClusterLb plays on it.</summary>
[Collection(BareLabCollection.Name)]
public sealed class LabTests(BareLabFixture fixture)
{
    public static TheoryData<string, string> Pairs => new()
    {
        { "client-a", "web-1" }, { "client-a", "web-3" }, { "client-b", "web-1" }, { "node-a", "web-3" }, { "node-b", "web-3" },
        { "client", "web-1" }, { "client-b", "host-a" }, { "client-a", "host-a" },
    };

    [LabTheory]
    [InlineData("client-a", false)]
    [InlineData("client-a", true)]
    [InlineData("node-b", false)]
    public async Task A_packet_that_leaves_a_node_for_a_service_address_is_counted_as_leaked(string from, bool ipv6)
    {
        // Nobody steers here: what other labs must never count happens.
        long before = fixture.Lab.LeakedPackets();
        await Connector.OnceAsync(fixture.To(from, "web", ipv6, ConnectProtocol.Http), ConnectProtocol.Http, TimeSpan.FromMilliseconds(200));

        Assert.True(fixture.Lab.LeakedPackets() > before);
    }

    [LabTheory, MemberData(nameof(Pairs))]
    public async Task Members_reach_pods_directly_with_their_own_address(string from, string to)
    {
        LabPod pod = fixture.Topology.Pod(to);
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (ClusterLb.Dataplane.IpAddr address in (IEnumerable<ClusterLb.Dataplane.IpAddr>)[pod.Ipv4, pod.Ipv6])
            {
                int port = protocol == ConnectProtocol.Http ? LabPod.HttpPort : LabPod.EchoPort;
                Attempt attempt = await Connector.OnceAsync(TrafficTarget.Of(fixture.Lab, from, address, port), protocol, LabFixture.Timeout);

                Assert.True(attempt.Failure == "", $"{from} to {address} {protocol}: {attempt.Failure}");
                Assert.Equal((to, attempt.LocalAddress), (attempt.Answer!.Pod, attempt.Answer.Client));
            }
        }
    }

    [LabFact]
    public async Task Taking_a_lab_down_leaves_nothing_and_may_be_done_twice()
    {
        string name = $"e2et{Environment.ProcessId}";
        LabCluster lab = await LabCluster.UpAsync(
            new LabOptions { Name = name, Program = fixture.Lab.Program, WithAgents = false, EndsWithThisProcess = true }, _ => { });
        int keeper = Assert.Single((await lab.StatusAsync()).Members.Single(m => m.Kind == "switch").Processes);

        Assert.True(LabCluster.Down(name));

        Assert.DoesNotContain(name, LabCluster.Names());
        Assert.Empty(Directory.EnumerateFiles(NetworkNamespace.Folder, name + "-*"));
        Assert.False(File.Exists($"/proc/{keeper}/cmdline") && File.ReadAllText($"/proc/{keeper}/cmdline").Length > 0);
        Assert.False(LabCluster.Down(name));
    }

    [LabFact]
    public async Task A_lab_whose_owner_was_killed_takes_itself_down()
    {
        string name = $"e2ek{Environment.ProcessId}";
        using LabCluster lab = await LabCluster.UpAsync(
            new LabOptions { Name = name, Program = fixture.Lab.Program, WithAgents = false, EndsWithThisProcess = true }, _ => { });

        // As if the owner, this process, were gone: no process has this start time.
        string state = Path.Combine(lab.Folder, "lab.json");
        File.WriteAllText(state, File.ReadAllText(state).Replace("\"ownerStarted\":\"", "\"ownerStarted\":\"9", StringComparison.Ordinal));

        await Eventually.IsAsync("the keeper took the lab down",
            () => !Directory.Exists(lab.Folder) && !Directory.EnumerateFiles(NetworkNamespace.Folder, name + "-*").Any());
    }

    [LabFact]
    public async Task A_foreign_namespace_with_the_labs_prefix_survives()
    {
        string name = $"e2ef{Environment.ProcessId}";
        string foreign = $"{name}-foreign";
        var options = new LabOptions { Name = name, Program = fixture.Lab.Program, WithAgents = false, EndsWithThisProcess = true };
        Tool.Run("ip", ["netns", "add", foreign]);
        try
        {
            Assert.False(LabCluster.Down(name));
            (await LabCluster.UpAsync(options, _ => { })).Dispose();

            Assert.True(new NetworkNamespace(foreign).Exists);
        }
        finally
        {
            Tool.Try("ip", ["netns", "del", foreign]);
        }
    }

    [LabFact]
    public async Task A_foreign_namespace_with_a_name_of_the_lab_keeps_it_from_being_set_up()
    {
        string name = $"e2eo{Environment.ProcessId}";
        string foreign = $"{name}-{LabTopology.SwitchName}";
        var options = new LabOptions { Name = name, Program = fixture.Lab.Program, WithAgents = false, EndsWithThisProcess = true };
        Tool.Run("ip", ["netns", "add", foreign]);
        try
        {
            LabException refused = await Assert.ThrowsAsync<LabException>(() => LabCluster.UpAsync(options, _ => { }));

            Assert.Contains(foreign, refused.Message, StringComparison.Ordinal);
            Assert.False(LabCluster.Down(name));
            Assert.True(new NetworkNamespace(foreign).Exists);
        }
        finally
        {
            Tool.Try("ip", ["netns", "del", foreign]);
        }
    }

    [LabFact]
    public async Task A_lab_that_is_up_is_not_replaced()
    {
        var options = new LabOptions { Name = fixture.Lab.Name, Program = fixture.Lab.Program, WithAgents = false };

        LabException refused = await Assert.ThrowsAsync<LabException>(() => LabCluster.UpAsync(options, _ => { }));

        Assert.Contains("is already up", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain((await fixture.Lab.StatusAsync()).Members, m => m.State == "missing");
    }

    [LabTheory]
    [InlineData("")]
    [InlineData("../elsewhere")]
    public void A_name_that_leads_elsewhere_is_not_taken_down(string name) =>
        Assert.Throws<LabException>(() => LabCluster.Down(name));

    [LabFact]
    public void Nothing_is_changed_outside_the_namespaces()
    {
        // The lab of this collection is up: the namespace of this process must not show it.
        string links = Tool.Run("ip", ["-o", "link"]);
        string rules = Tool.Run("nft", ["list", "ruleset"]);

        Assert.DoesNotContain("eni-", links, StringComparison.Ordinal);
        Assert.DoesNotContain("table inet watch", rules, StringComparison.Ordinal);
    }
}
