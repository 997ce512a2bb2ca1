using ClusterLb.Agent.Firewall;

namespace ClusterLb.Agent.Steering;

public sealed partial class NodeSteering
{
    /// <summary>Accepts the device in iptables' FORWARD chains, if that is asked for.</summary>
    /// <remarks>
    /// As late as it still counts: before the first rule that ends everything, else at the end, before the policy. Whoever enforces
    /// NetworkPolicy has his chains further up, and they must go on deciding about packets to pods.
    /// </remarks>
    private void RepairForwarding(SteeringInputs inputs)
    {
        if (Record.AcceptsForwarding != inputs.Options.AcceptForwarding)
        {
            RemoveForwarding(); // nothing, where it was not accepted before
            Record.AcceptsForwarding = inputs.Options.AcceptForwarding;
            _file.Save(Record); // before the rules are there: what a lost record left is removed in the end, too
        }

        if (!inputs.Options.AcceptForwarding)
        {
            return;
        }

        foreach (bool ipv6 in inputs.Families.Select(family => family.IsIpv6))
        {
            List<FirewallRule> rules = ForwardRules(ipv6);
            foreach (string match in ForwardMatches(inputs.Device))
            {
                int at = rules.FindIndex(rule => rule.Text == match);
                int end = rules.FindIndex(rule => rule.EndsAll);
                if (at >= 0 && (end < 0 || at < end))
                {
                    continue;
                }

                if (at >= 0)
                {
                    Tool.Run(Iptables(ipv6), ["-w", "-D", "FORWARD", .. match.Split(' ')]); // somebody put an end before it
                }

                string[] place = end < 0 ? ["-A", "FORWARD"] : ["-I", "FORWARD", $"{end + 1}"];
                Tool.Run(Iptables(ipv6), ["-w", .. place, .. match.Split(' ')]);
                Changed("forwarding", $"{Iptables(ipv6)} {match}");
                rules = ForwardRules(ipv6);
            }
        }
    }

    private void RemoveForwarding()
    {
        if (!Record.AcceptsForwarding)
        {
            return;
        }

        foreach (bool ipv6 in Sysctls.KernelFamilies)
        {
            List<FirewallRule> rules = ForwardRules(ipv6);
            foreach (string match in ForwardMatches(Record.Device).Where(match => rules.Exists(rule => rule.Text == match)))
            {
                Tool.Run(Iptables(ipv6), ["-w", "-D", "FORWARD", .. match.Split(' ')]);
            }
        }
    }

    private static List<FirewallRule> ForwardRules(bool ipv6) => IptablesSave.ParseRules(Tool.Run(Iptables(ipv6), ["-w", "-S", "FORWARD"]), "FORWARD");

    private static string[] ForwardMatches(string device) => [$"-i {device} -j ACCEPT", $"-o {device} -j ACCEPT"];

    private static string Iptables(bool ipv6) => ipv6 ? "ip6tables" : "iptables";
}
