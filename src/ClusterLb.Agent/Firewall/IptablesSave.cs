using System.Globalization;
using System.Text;

namespace ClusterLb.Agent.Firewall;

/// <summary>Reads what iptables-save and ip6tables-save print.</summary>
internal static class IptablesSave
{
    private const int SourceNatPriority = 100; // NF_IP_PRI_NAT_SRC

    private static readonly string[] VerdictTargets = ["ACCEPT", "DROP", "REJECT", "MASQUERADE", "SNAT", "DNAT"];

    /// <summary>All chains with their rules.</summary>
    /// <param name="program">The program that shows them, without <c>-save</c>.</param>
    /// <param name="text">What it printed.</param>
    public static IReadOnlyList<FirewallChain> Parse(string program, string text)
    {
        string family = program.StartsWith("ip6", StringComparison.Ordinal) ? "ip6" : "ip";
        var chains = new List<FirewallChain>();
        var rules = new Dictionary<(string Table, string Chain), List<FirewallRule>>();
        string table = "";
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith('*'))
            {
                table = line[1..];
            }
            else if (line.StartsWith(':'))
            {
                // ":FORWARD DROP [7:420]"; "-" is a chain without a policy.
                string[] words = line[1..].Split(' ');
                List<FirewallRule> own = rules[(table, words[0])] = [];
                bool isBase = words[1] != "-";
                chains.Add(new FirewallChain
                {
                    Program = program,
                    Family = family,
                    Table = table,
                    Name = words[0],
#pragma warning disable CA1308 // nft's words are lower case; this is no comparison.
                    Hook = isBase ? words[0].ToLowerInvariant() : "",
                    Policy = isBase ? words[1].ToLowerInvariant() : "",
#pragma warning restore CA1308
                    Priority = table == "nat" && words[0] == "POSTROUTING" ? SourceNatPriority : 0,
                    Rules = own,
                });
            }
            else if (line.StartsWith("-A ", StringComparison.Ordinal))
            {
                int end = line.IndexOf(' ', 3);
                if (rules.TryGetValue((table, end < 0 ? line[3..] : line[3..end]), out List<FirewallRule>? own))
                {
                    own.Add(Rule(end < 0 ? "" : line[(end + 1)..]));
                }
            }
        }

        return chains;
    }

    /// <summary>The rules of one chain, as <c>iptables -S CHAIN</c> prints them.</summary>
    public static List<FirewallRule> ParseRules(string text, string chain)
    {
        string before = $"-A {chain} ";
        return [.. text.Split('\n').Where(line => line.StartsWith(before, StringComparison.Ordinal)).Select(line => Rule(line[before.Length..]))];
    }

    private static FirewallRule Rule(string text)
    {
        List<string> words = Words(text);
        int at = words.FindIndex(word => word is "-j" or "-g");
        string target = at >= 0 && at + 1 < words.Count ? words[at + 1] : "";
        return new FirewallRule
        {
            Text = text,
#pragma warning disable CA1308 // as above
            Target = VerdictTargets.Contains(target) ? target.ToLowerInvariant() : target,
#pragma warning restore CA1308
            IsUnconditional = at == 0,
            Marks = [.. Marks(words)],
        };
    }

    // iptables-save writes --set-mark, --or-mark and --and-mark as --set-xmark VALUE/MASK: MASK are the bits that it writes.
    private static IEnumerable<MarkUse> Marks(List<string> words)
    {
        string extension = ""; // whose options follow
        for (int i = 0; i + 1 < words.Count; i++)
        {
            switch (words[i])
            {
                case "-m" or "-j":
                    extension = words[i + 1];
                    break;
                case "--mark" when extension is "mark" or "connmark":
                    yield return new MarkUse(extension == "connmark", Mask(words[i + 1]), false);
                    break;
                case "--set-xmark" or "--set-mark":
                    yield return new MarkUse(extension == "CONNMARK", Mask(words[i + 1]), true);
                    break;
                case "--save-mark":
                    yield return new MarkUse(true, Mask(After(words, "--ctmask")), true);
                    break;
                case "--restore-mark":
                    yield return new MarkUse(false, Mask(After(words, "--nfmask")), true);
                    break;
            }
        }
    }

    private static string After(List<string> words, string option) =>
        words.IndexOf(option) is >= 0 and int at && at + 1 < words.Count ? $"/{words[at + 1]}" : "";

    // "0x5/0xff", or "0x5": every bit.
    private static uint Mask(string text) =>
        text.Split("/0x") is [_, var mask] && uint.TryParse(mask, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint bits)
            ? bits
            : uint.MaxValue;

    // Blanks separate words, but not within quotes. Comments are left out: they may say anything.
    private static List<string> Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        bool quoted = false;
        for (int i = 0; i <= text.Length; i++)
        {
            char c = i < text.Length ? text[i] : ' ';
            if (quoted && c == '\\')
            {
                i++;
            }
            else if (c == '"')
            {
                quoted = !quoted;
            }
            else if (c == ' ' && (!quoted || i == text.Length))
            {
                words.Add(word.ToString());
                word.Clear();
            }
            else
            {
                word.Append(c);
            }
        }

        for (int at; (at = words.IndexOf("--comment")) > 0;)
        {
            words.RemoveRange(at, Math.Min(2, words.Count - at)); // and what it says
            int match = words.LastIndexOf("-m", at - 1);
            if (match >= 0)
            {
                words.RemoveRange(match, 2); // -m comment
            }
        }

        return words;
    }
}
