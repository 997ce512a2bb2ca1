using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>The kernel forwards packets: what the dataplane emits goes to pods and other nodes by the kernel's forwarding.</summary>
internal sealed class ForwardingCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "forwarding";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        string[] off = [.. new[] { Sysctls.Ipv4Forwarding, Sysctls.Ipv6Forwarding }.Where(name => Sysctls.Read(name) == "0")];
        if (off.Length == 0)
        {
            return Finding.Ok("IPv4 and IPv6 packets are forwarded, as far as the kernel has both");
        }

        string text = $"{string.Join(", ", off)} {(off.Length == 1 ? "is" : "are")} 0";
        bool needed = off.Any(name => node.Steering?.FoundRules(name == Sysctls.Ipv6Forwarding) is not null);
        return needed
            ? Finding.Failed(text, "nothing is forwarded: pods and outside clients reach no service in that family", "set it to 1, and find who sets it to 0 (sysctl.d, systemd-networkd)")
            : Finding.NotApplicable($"{text}; that family is not steered, an agent would set it to 1");
    }
}
