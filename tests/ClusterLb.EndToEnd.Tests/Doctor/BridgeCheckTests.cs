using ClusterLb.Agent;
using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Doctor.Checks;
using ClusterLb.EndToEnd.Tests.Steering;

namespace ClusterLb.EndToEnd.Tests.Doctor;

/// <summary>What the doctor says of bridges where no agent answers.</summary>
public sealed class BridgeCheckTests
{
    private const string CallIptables = "bridge/bridge-nf-call-iptables";

    [NamespaceFact]
    public void Bridges_are_judged_by_what_the_last_agent_was_told_of_pods()
    {
        using var node = new SteeredNode();
        foreach (string command in (string[])
            ["link add cni0 type bridge", "link add pod1 type veth peer pod2", "link set pod1 master cni0", "link set cni0 up", "addr add 10.244.1.1/24 dev cni0"])
        {
            node.Ip(command);
        }

        if (node.Inside(() => File.Exists($"/proc/sys/net/{CallIptables}")))
        {
            node.SetSysctl(CallIptables, "0");
        }

        Finding unknown = Look(node, null);
        Finding known = Look(node, new AgentRecord
        {
            Version = "0.0.0",
            Pid = 0,
            StartedAt = DateTimeOffset.UnixEpoch,
            NodeName = "node-a",
            Device = "clb0",
            ClusterCidrs = ["10.244.0.0/16"],
        });

        Assert.Equal((CheckVerdict.Warning, CheckVerdict.Ok), (unknown.Verdict, known.Verdict));
        Assert.StartsWith("cni0 10.244.1.0/24: ", known.Text, StringComparison.Ordinal);
        Assert.Contains("hop", known.Cost, StringComparison.Ordinal);
    }

    private static Finding Look(SteeredNode node, AgentRecord? record) =>
        node.Inside(() => new BridgeCheck().Look(new NodeFacts { StateDirectory = node.StateDirectory, Record = record }));
}
