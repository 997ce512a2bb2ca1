namespace ClusterLb.Agent.Steering;

/// <summary>What people are told about a <see cref="BridgeFix"/>.</summary>
/// <param name="What">What is done, in a few words.</param>
/// <param name="Cost">What it costs; never empty.</param>
/// <param name="Advice">How to get a cheaper one; empty if there is none.</param>
public sealed record BridgeWords(string What, string Cost, string Advice)
{
    private const string SwitchOn = "modprobe br_netfilter; bridge-nf-call-iptables=1 and bridge-nf-call-ip6tables=1, as kubeadm wants it";

    /// <summary>The words for a fix.</summary>
    public static BridgeWords Of(BridgeFix fix) => fix switch
    {
        BridgeFix.ConnectionMark => new(
            "answers are taken up by their connection mark (br_netfilter)",
            "one rule per packet that is switched; that these packets pass conntrack and iptables is what br_netfilter costs without us, too", ""),
        BridgeFix.Routed => new(
            "what pods of the bridge say to each other is routed instead of switched (br_netfilter is off)",
            "some microseconds and a hop more between pods of this node; it passes conntrack and FORWARD rules", SwitchOn),
        _ => new(
            "services are masqueraded between pods of the bridge",
            "these backends see the node's address instead of the client's",
            "if it was not chosen (steering.bridgedPods): say where pods are (clusterCIDR), switch br_netfilter on, or take a kernel with CONFIG_NF_TABLES_BRIDGE"),
    };
}
