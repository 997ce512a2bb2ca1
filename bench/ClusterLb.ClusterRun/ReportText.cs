using System.Globalization;
using System.Text;

namespace ClusterLb.ClusterRun;

/// <summary>What all reports have: Markdown with the facts of the run on top, and tables with a column for each proxy.</summary>
internal static class ReportText
{
    /// <summary>A report so far.</summary>
    public static StringBuilder Begin(string title, IReadOnlyList<string> facts)
    {
        var text = new StringBuilder($"# A real cluster: {title}\n\n");
        foreach (string fact in facts)
        {
            text.Append(CultureInfo.InvariantCulture, $"- {fact}\n");
        }

        return text;
    }

    /// <summary>The first two lines of a table.</summary>
    public static void TableHead(this StringBuilder text, IReadOnlyList<string> heads, IEnumerable<string> proxies)
    {
        string[] all = [.. heads, .. proxies];
        text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", all)} |\n|{string.Concat(all.Select(_ => "---|"))}\n");
    }
}
