using System.Globalization;
using System.Text;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>How long flows were silent, by what was restarted and how: the table of docs/reliability.md.</summary>
internal sealed class RestartReport
{
    private readonly SortedDictionary<string, List<RestartRound>> _rounds = new(StringComparer.Ordinal);

    /// <summary>Adds one restart.</summary>
    public void Add(string kind, RestartRound round)
    {
        if (!_rounds.TryGetValue(kind, out List<RestartRound>? rounds))
        {
            _rounds[kind] = rounds = [];
        }

        rounds.Add(round);
    }

    /// <summary>As a table of Markdown.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.AppendLine("| restarted | times | longest silence of a TCP flow, p50 / max (ms) | of a UDP flow, p50 / max (ms) | datagrams without an answer |");
        text.AppendLine("|---|--:|--:|--:|--:|");
        foreach ((string kind, List<RestartRound> rounds) in _rounds)
        {
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {kind} | {rounds.Count} | {Spread(rounds, r => r.TcpGapMs)} | {Spread(rounds, r => r.UdpGapMs)} | {rounds.Sum(r => r.DatagramsLost)} |");
        }

        return text.ToString();
    }

    private static string Spread(List<RestartRound> rounds, Func<RestartRound, double> value)
    {
        double[] sorted = [.. rounds.Select(value).Order()];
        return string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Length / 2]:0} / {sorted[^1]:0}");
    }
}
