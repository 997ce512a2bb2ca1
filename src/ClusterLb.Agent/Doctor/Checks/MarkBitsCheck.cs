using System.Globalization;
using ClusterLb.Agent.Firewall;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Nobody else uses the bits of packet and connection mark that carry our state.</summary>
internal sealed class MarkBitsCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "mark bits";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        SteeringOptions options = node.Options;
        List<(string Who, MarkUse Use)> others =
        [
            .. node.ForeignChains.SelectMany(chain => chain.Rules.SelectMany(rule => rule.Marks, (_, use) => (chain.ToString(), use))),
            .. RulesOfOthers(node),
        ];

        // Of the packet's mark we use one bit, of the connection's two.
        List<(string Who, MarkUse Use)> shared =
            [.. others.Where(other => (other.Use.Bits & (other.Use.IsConnectionMark ? options.ReplyMark | options.OriginalMark : options.ReplyMark)) != 0)];
        string ours = $"ours are 0x{options.ReplyMark:x} (packet and connection) and 0x{options.OriginalMark:x} (connection)";
        if (shared.Count == 0)
        {
            uint used = others.Aggregate(0u, (bits, other) => bits | other.Use.Bits);
            return Finding.Ok(used == 0 ? $"nobody else uses marks; {ours}" : $"others use 0x{used:x}; {ours}");
        }

        string who = string.Join("; ", shared.GroupBy(other => other).OrderBy(group => !group.Key.Use.Writes).Take(Most).Select(group => Word(group.Key, group.Count())));
        string text = $"{who}; {ours}";
        string advice = Free(others.Where(other => other.Use.Bits != uint.MaxValue).Aggregate(0u, (bits, other) => bits | other.Use.Bits)) is var (reply, original)
            ? $"choose free bits: steering.replyMark: 0x{reply:x}, steering.originalMark: 0x{original:x}"
            : "no two bits are free: the others must give some up";
        if (shared.Exists(other => other.Use.Bits == uint.MaxValue))
        {
            advice += "; a rule without a mask uses all bits: give it one";
        }

        return shared.Exists(other => other.Use is { IsConnectionMark: true, Writes: true })
            ? Finding.Failed(text, "replies lose the way back, or packets that are none of ours come to us", advice)
            : Finding.Warning(text, shared.Exists(other => other.Use.Writes)
                ? "depending on the order of chains, packets are steered wrongly, or theirs are"
                : "their rules take our packets for theirs, or no longer know their own", advice);
    }

    private const int Most = 5;

    private static string Word((string Who, MarkUse Use) other, int count) =>
        $"{other.Who} {(other.Use.Writes ? "writes" : "looks at")} {(other.Use.Bits == uint.MaxValue ? "all bits" : $"0x{other.Use.Bits:x}")} of the " +
        $"{(other.Use.IsConnectionMark ? "connection" : "packet")} mark{(count > 1 ? $" ({count} rules)" : "")}";

    private static IEnumerable<(string, MarkUse)> RulesOfOthers(NodeFacts node)
    {
        string[] own = SteeringPlan.Rules(node.Device, node.Options);
        foreach (bool ipv6 in Sysctls.KernelFamilies)
        {
            foreach (string rule in RoutingSnapshot.Rules(ipv6).Except(own))
            {
                string[] words = rule.Split(' ');
                int at = Array.IndexOf(words, "fwmark");
                if (at >= 0 && at + 1 < words.Length)
                {
                    yield return ($"ip {RoutingSnapshot.Family(ipv6)} rule {words[0]}", new MarkUse(false, Mask(words[at + 1]), false));
                }
            }
        }
    }

    // "0x200/0xf00"
    private static uint Mask(string text) =>
        text.Split('/') is [_, var mask] && uint.TryParse(mask.Replace("0x", "", StringComparison.Ordinal), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint bits)
            ? bits
            : uint.MaxValue;

    // From the upper half first: most others start from below.
    private static (uint Reply, uint Original)? Free(uint used)
    {
        uint[] free = [.. Enumerable.Range(16, 16).Concat(Enumerable.Range(0, 16)).Select(bit => 1u << bit).Where(bit => (used & bit) == 0).Take(2)];
        return free.Length == 2 ? (free[0], free[1]) : null;
    }
}
