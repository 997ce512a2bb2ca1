using System.Text.RegularExpressions;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>All that steering could leave on a node: links, addresses, routes of all tables, rules, nft, settings.</summary>
internal static partial class NodeSnapshot
{
    private static readonly string[][] Looks =
    [
        ["ip", "-o", "link"], ["ip", "-o", "addr"], ["ip", "-4", "rule"], ["ip", "-6", "rule"],
        ["ip", "-4", "route", "show", "table", "all"], ["ip", "-6", "route", "show", "table", "all"],
        ["nft", "list", "ruleset"],
    ];

    /// <summary>Sorted lines; two snapshots of an unchanged node are equal.</summary>
    public static IReadOnlyList<string> Take(NetworkNamespace node)
    {
        IEnumerable<string> lines = Looks.SelectMany(look =>
            Tool.Run("nsenter", [$"--net={node.Path}", .. look]).Split('\n').Select(l => $"{string.Join(' ', look)}: {Steady(l)}"));
        return [.. lines.Concat(node.Run(Settings)).Where(l => l.Length > 0).Order(StringComparer.Ordinal)];
    }

    private static List<string> Settings()
    {
        var settings = new List<string>();
        foreach (string folder in (string[])["/proc/sys/net/ipv4", "/proc/sys/net/ipv6", "/proc/sys/net/netfilter", "/proc/sys/net/core"])
        {
            if (!Directory.Exists(folder))
            {
                continue;
            }

            foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(f => !IsLively(f)))
            {
                try
                {
                    settings.Add($"{file} = {File.ReadAllText(file).Trim()}");
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    // Write-only (route/flush) or without a value here (stable_secret).
                }
            }
        }

        return settings;
    }

    private static bool IsLively(string file) => file.EndsWith("nf_conntrack_count", StringComparison.Ordinal);

    /// <summary>Without what changes by itself: times left, next-hop state, the kernel's caches.</summary>
    private static string Steady(string line) => Lively().Replace(line, "").Trim();

    [GeneratedRegex(@"(expires \d+sec|state \w+|qdisc \w+|qlen \d+|\bpackets \d+ bytes \d+)")]
    private static partial Regex Lively();
}
