using ClusterLb.Agent.Firewall;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>No firewall drops what is forwarded to and from the device.</summary>
/// <remarks>Every chain of the forward hook must let a packet pass: an accept in one of ours overrides nobody's drop.</remarks>
internal sealed class ForwardPolicyCheck : ICheck
{
    private const string Cost = "service traffic that is forwarded is dropped: of pods, and of clients outside of the node";

    /// <inheritdoc/>
    public string Name => "forward policy";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        FirewallChain[] closed = [.. node.ForeignChains.Where(chain => chain.Hook == "forward" && node.Families.Any(chain.Sees) && Drops(chain))];
        FirewallChain[] shut = [.. closed.Where(chain => !Accepts(chain, "-i", "iifname", node.Device) || !Accepts(chain, "-o", "oifname", node.Device))];
        if (shut.Length == 0)
        {
            return Finding.Ok(closed.Length == 0
                ? "no chain of the forward hook drops what no rule accepts"
                : $"{Names(closed)} {(closed.Length == 1 ? "drops" : "drop")} what no rule accepts, and {(closed.Length == 1 ? "accepts" : "accept")} {node.Device}");
        }

        string text = $"{Names(shut)} {(shut.Length == 1 ? "drops" : "drop")} what no rule accepts, and no rule accepts {node.Device}";
        return shut.All(chain => AcceptsByAddress(chain, node.Firewall))
            ? Finding.Warning($"{text}; rules that accept by address may let pods through", "clients whose address they do not name are dropped", Advice(shut, node))
            : Finding.Failed(text, Cost, Advice(shut, node));
    }

    private static string Advice(FirewallChain[] shut, NodeFacts node)
    {
        var advice = new List<string>();
        if (shut.Any(chain => chain.Program != "nft"))
        {
            advice.Add(node.Options.AcceptForwarding
                ? "steering.acceptForwarding is set: an agent that runs puts the rules back"
                : "set steering.acceptForwarding: true, which adds the rules and removes them at cleanup");
        }

        foreach (FirewallChain chain in shut.Where(chain => chain.Program == "nft"))
        {
            advice.Add(chain.Table == "firewalld"
                ? $"firewall-cmd --permanent --zone=trusted --add-interface={node.Device} && firewall-cmd --reload"
                : $"accept {node.Device} there: nft insert rule {chain.Family} {chain.Table} {chain.Name} iifname {node.Device} accept; the same with oifname");
        }

        return string.Join("; ", advice);
    }

    // By its policy, or by a last rule that takes everything.
    private static bool Drops(FirewallChain chain) => chain.Policy == "drop" || chain.Rules.Any(rule => rule.EndsAll);

    private static bool Accepts(FirewallChain chain, string option, string key, string device) => chain.Rules.TakeWhile(rule => !rule.EndsAll)
        .Any(rule => rule.Target == "accept" && (chain.Program == "nft"
            ? rule.Text.Contains($"\"{key}\"", StringComparison.Ordinal) && rule.Text.Contains($"\"{device}\"", StringComparison.Ordinal)
            : $" {rule.Text} ".Contains($" {option} {device} ", StringComparison.Ordinal)));

    private static bool AcceptsByAddress(FirewallChain closed, IEnumerable<FirewallChain> all) => all
        .Where(chain => chain.Program == closed.Program && chain.Family == closed.Family && chain.Table == closed.Table)
        .SelectMany(chain => chain.Rules)
        .Select(rule => (rule.Target, Text: $" {rule.Text}"))
        .Any(rule => rule.Target == "accept"
            && (rule.Text.Contains(" -s ", StringComparison.Ordinal) || rule.Text.Contains(" -d ", StringComparison.Ordinal)
                || rule.Text.Contains("\"saddr\"", StringComparison.Ordinal))
            && !rule.Text.Contains(" -i ", StringComparison.Ordinal) && !rule.Text.Contains(" -o ", StringComparison.Ordinal));

    private static string Names(IEnumerable<FirewallChain> chains) => string.Join(", ", chains);
}
