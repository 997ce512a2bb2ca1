using System.Text.Json;

namespace ClusterLb.Agent.Firewall;

/// <summary>Reads what <c>nft -j list ruleset</c> prints.</summary>
internal static class NftListing
{
    private static readonly string[] Verdicts = ["accept", "drop", "reject", "masquerade", "snat", "dnat"];

    /// <summary>All chains with their rules.</summary>
    public static IReadOnlyList<FirewallChain> Parse(string text)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        var chains = new List<FirewallChain>();
        var rules = new Dictionary<(string Family, string Table, string Chain), List<FirewallRule>>();
        foreach (JsonElement item in json.RootElement.GetProperty("nftables").EnumerateArray())
        {
            if (item.TryGetProperty("chain", out JsonElement chain))
            {
                List<FirewallRule> own = rules[(Text(chain, "family"), Text(chain, "table"), Text(chain, "name"))] = [];
                chains.Add(new FirewallChain
                {
                    Program = "nft",
                    Family = Text(chain, "family"),
                    Table = Text(chain, "table"),
                    Name = Text(chain, "name"),
                    Hook = Text(chain, "hook"),
                    Priority = chain.TryGetProperty("prio", out JsonElement priority) ? priority.GetInt32() : 0,
                    Policy = Text(chain, "policy"),
                    Rules = own,
                });
            }
            else if (item.TryGetProperty("rule", out JsonElement rule)
                && rules.TryGetValue((Text(rule, "family"), Text(rule, "table"), Text(rule, "chain")), out List<FirewallRule>? own))
            {
                own.Add(Rule(rule.GetProperty("expr")));
            }
        }

        return chains;
    }

    private static FirewallRule Rule(JsonElement expressions)
    {
        string target = "";
        bool isConditional = false;
        var marks = new List<MarkUse>();
        foreach (JsonProperty expression in expressions.EnumerateArray().SelectMany(item => item.EnumerateObject()))
        {
            switch (expression.Name)
            {
                case "jump" or "goto":
                    target = Text(expression.Value, "target");
                    break;
                case var name when Verdicts.Contains(name):
                    target = name;
                    break;
                case "match":
                    isConditional = true;
                    marks.AddRange(Matched(expression.Value));
                    break;
                case "mangle":
                    marks.AddRange(Written(expression.Value));
                    break;
                case "counter" or "log":
                    break;
                default:
                    isConditional = true; // limits, maps of verdicts, what iptables brought in (xt)
                    break;
            }
        }

        return new FirewallRule { Text = expressions.GetRawText(), Target = target, IsUnconditional = !isConditional, Marks = marks };
    }

    // {"left": {"&": [{"meta": {"key": "mark"}}, 65536]}, "right": 65536}, or {"left": {"meta": {"key": "mark"}}, "right": 5}
    private static IEnumerable<MarkUse> Matched(JsonElement match)
    {
        if (!match.TryGetProperty("left", out JsonElement left))
        {
            yield break;
        }

        if (MarkOf(left) is { } whole)
        {
            yield return new MarkUse(whole, uint.MaxValue, false);
        }
        else if (Operands(left, "&") is { } masked && MarkOf(masked.Left) is { } part)
        {
            yield return new MarkUse(part, Number(masked.Right) ?? uint.MaxValue, false);
        }
    }

    // {"key": {"ct": {"key": "mark"}}, "value": {"|": [{"ct": {"key": "mark"}}, 131072]}}; a plain value writes every bit.
    private static IEnumerable<MarkUse> Written(JsonElement mangle)
    {
        if (MarkOf(mangle.GetProperty("key")) is not { } isConnectionMark)
        {
            yield break;
        }

        JsonElement value = mangle.GetProperty("value");
        yield return new MarkUse(isConnectionMark, Bits(value, isConnectionMark), true);

        // "meta mark set ct mark" and the like read the other mark: nothing of ours depends on who reads.
    }

    // The bits of the mark itself that an expression over it may change.
    private static uint Bits(JsonElement value, bool isConnectionMark)
    {
        if (MarkOf(value) == isConnectionMark)
        {
            return 0;
        }

        foreach (string op in (string[])["|", "^", "&"])
        {
            if (Operands(value, op) is { } operands && Number(operands.Right) is { } number)
            {
                return Bits(operands.Left, isConnectionMark) | (op == "&" ? ~number : number);
            }
        }

        return uint.MaxValue;
    }

    private static (JsonElement Left, JsonElement Right)? Operands(JsonElement value, string op) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(op, out JsonElement pair) && pair.GetArrayLength() == 2
            ? (pair[0], pair[1])
            : null;

    /// <summary>False for the packet's mark, true for the connection's, null for anything else.</summary>
    private static bool? MarkOf(JsonElement value) =>
        value.ValueKind != JsonValueKind.Object ? null
        : value.TryGetProperty("meta", out JsonElement meta) && Text(meta, "key") == "mark" ? false
        : value.TryGetProperty("ct", out JsonElement ct) && Text(ct, "key") == "mark" ? true
        : null;

    private static uint? Number(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetUInt32(out uint number) ? number : null;

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) ? value.ToString() : "";
}
