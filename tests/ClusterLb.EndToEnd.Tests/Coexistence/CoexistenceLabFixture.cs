using System.Text.Json;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>A lab whose node-a also has what others install on a node: firewalls, masquerading, marks, leftovers.</summary>
public sealed class CoexistenceLabFixture : ExposedLabFixture
{
    protected override string Tag => "k";

    // What comes back in these tests comes back because netlink told, or a look each second: not by the comparison of everything now and then.
    protected override LabSettings Settings => new("iptables: {syncPeriod: 1h}");

    /// <summary>Runs a shell script on node-a; it ends at the first command that fails.</summary>
    public string OnNodeA(string script) => Exec("node-a", "sh", "-e", "-c", script);

    /// <summary>One row of the doctor's report of node-a.</summary>
    public (string Verdict, string Text) Check(string name)
    {
        ToolResult said = Clusterlb("node-a", "doctor", "-o", "json");
        using JsonDocument json = JsonDocument.Parse(said.Output);
        JsonElement row = json.RootElement.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("name").GetString() == name);
        return (row.GetProperty("verdict").GetString()!, $"{row.GetProperty("finding")} | {row.GetProperty("cost")} | {row.GetProperty("advice")}");
    }

    /// <summary>Ends the agent of node-a and starts one with more lines in ClusterLbConfiguration.</summary>
    public async Task RestartAgentAsync(string more)
    {
        AgentProcess agent = Lab.Agent("node-a");
        agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        agent.WriteConfig(mtu: 1500);
        await File.AppendAllTextAsync(agent.ConfigFile, more);
        agent.Start();
        await agent.WaitUntilHealthyAsync(TimeSpan.FromSeconds(15));
    }

    /// <summary>From outside of the cluster to a service's node port of node-a; else to its cluster IP.</summary>
    public TrafficTarget Reach(string from, string service, bool ipv6, ConnectProtocol protocol)
    {
        int port = protocol == ConnectProtocol.Http ? 80 : 7;
        LabNode a = Topology.Node("node-a");
        return from == LabTopology.ClientName
            ? TrafficTarget.Of(Lab, from, ipv6 ? a.Ipv6 : a.Ipv4, Topology.Service(service).Exposure!.FirstNodePort + port)
            : To(from, service, ipv6, port);
    }

    /// <summary>Asks a service by HTTP until it answers as wanted.</summary>
    public Task AnswersAsync(string from, string service, bool ipv6, Func<Attempt, bool> wanted) => Eventually.IsAsync(
        $"{from} reaches {service} (IPv{(ipv6 ? 6 : 4)}) as it should", async () => wanted(await Connector.OnceAsync(Reach(from, service, ipv6, ConnectProtocol.Http), ConnectProtocol.Http, Timeout)));
}
