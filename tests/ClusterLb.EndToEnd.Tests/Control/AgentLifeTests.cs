using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>What an agent says while it runs, and that it ends when it is asked to.</summary>
[Collection(BareLabCollection.Name)]
public sealed partial class AgentLifeTests(BareLabFixture fixture)
{
    private const string Node = "node-b";

    [LabFact]
    public async Task Every_sync_is_logged_with_the_words_that_people_look_for()
    {
        AgentProcess agent = Prepare();
        File.WriteAllText(agent.ConfigFile, File.ReadAllText(agent.ConfigFile).Replace("hostnameOverride:", "logging: {verbosity: 4}\nhostnameOverride:", StringComparison.Ordinal));
        try
        {
            agent.Start();
            await Eventually.IsAsync("it has synced", () => agent.LogTail(500).Contains("SyncProxyRules complete", StringComparison.Ordinal));

            string[] said = [.. agent.LogTail(500).Split('\n').SkipWhile(line => !line.Contains("Syncing rules", StringComparison.Ordinal)).Select(line => Changing().Replace(line, "*"))];
            Assert.Equal(
                ["\"Syncing rules\" ipFamily=\"IPv4\" fullSync=true", "\"Syncing rules\" ipFamily=\"IPv6\" fullSync=true"],
                said.Where(line => line.Contains("Syncing", StringComparison.Ordinal)).Take(2).Select(Message));
            Assert.Equal(
                ["\"Reloading service data\" numServices=* numEndpoints=*", "\"SyncProxyRules complete\" ipFamily=\"IPv4\" elapsed=*", "\"SyncProxyRules complete\" ipFamily=\"IPv6\" elapsed=*"],
                said.SkipWhile(line => !line.Contains("Reloading", StringComparison.Ordinal)).Where(line => line.Contains("Reloading", StringComparison.Ordinal)
                    || line.Contains("complete", StringComparison.Ordinal)).Take(3).Select(Message));
            Assert.All(said.Where(line => line.Length > 0), line => Assert.Matches(@"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\.cs:1\] """, line));
        }
        finally
        {
            await EndAsync(agent);
        }
    }

    [LabFact]
    public async Task An_agent_whose_API_server_hangs_ends_when_it_is_asked_to()
    {
        AgentProcess agent = Prepare();

        // The kernel takes connections, and nobody ever answers.
        using Socket server = fixture.Lab.Namespace(Node).OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        server.Listen();
        using var certificates = new ServerCertificates();
        string kubeconfig = Path.Combine(agent.Folder, "kubeconfig");
        File.WriteAllText(kubeconfig, Kubeconfig.Text(new Uri($"https://{server.LocalEndPoint}"), certificates.AuthorityPem, "token"));
        try
        {
            agent.StartWithKubeconfig(kubeconfig);
            await Eventually.IsAsync("it has begun", () => agent.LogTail(50).Contains("Agent started", StringComparison.Ordinal));
        }
        finally
        {
            await EndAsync(agent);
        }
    }

    /// <summary>An agent in the place of the lab's, with an empty log; what it reads from is its own.</summary>
    private AgentProcess Prepare()
    {
        AgentProcess there = fixture.Lab.Agent(Node);
        var agent = new AgentProcess(there.Node, there.Namespace, fixture.Lab.Program, there.Folder, fixture.Lab.Manifests.Path);
        agent.WriteConfig(mtu: 1500);
        File.Delete(agent.LogFile);
        return agent;
    }

    private async Task EndAsync(AgentProcess agent)
    {
        agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        fixture.Clusterlb(Node, "cleanup");
    }

    private static string Message(string line) => line[(line.IndexOf("] ", StringComparison.Ordinal) + 2)..];

    [GeneratedRegex(@"(?<=(numServices|numEndpoints|elapsed)=)(\d+|""[^""]*"")")]
    private static partial Regex Changing();
}
