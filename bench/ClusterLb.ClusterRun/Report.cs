using System.Globalization;
using System.Text;

namespace ClusterLb.ClusterRun;

/// <summary>The columns side by side, as Markdown.</summary>
internal static class Report
{
    public static string Of(IReadOnlyList<ColumnResult> columns, IReadOnlyList<string> facts)
    {
        StringBuilder text = ReportText.Begin("requests lost", facts);
        Table(text, "Reached, and the source address that the pod saw", "From, to", columns,
            columns[0].Reached.Select(r => $"{r.Origin}, {r.How}"), (column, i) => column.Reached[i].Outcome);
        Table(text, "HTTP requests lost, each on a connection of its own", "Step", columns,
            columns[0].Requests.Select(s => s.Name), (column, i) => Cell(column.Requests[i]));
        Table(text, "Datagrams lost, of one flow from each origin that lasts for the whole run", "Step", columns,
            columns[0].Datagrams.Select(s => s.Name), (column, i) => Cell(column.Datagrams[i]));
        text.Append(
            """

            A request is lost when it got no answer: refused, reset, or none within three seconds (a datagram: one second). Where there is no
            pod for a while a refusal is the right answer and is counted apart. Slow: answered only after a packet was sent again.

            """);
        return text.ToString();
    }

    private static string Cell(StepResult step) =>
        $"**{step.Lost}** of {step.Requests}{(step.Refused > 0 ? $", {step.Refused} rightly refused" : "")}" +
        $"{(step.Slow > 0 ? $", {step.Slow} slow" : "")}{(step.Lost > 0 ? $" ({step.Reasons})" : "")}";

    private static void Table(
        StringBuilder text, string title, string head, IReadOnlyList<ColumnResult> columns, IEnumerable<string> rows, Func<ColumnResult, int, string> cell)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n\n");
        text.TableHead([head], columns.Select(c => c.Proxy));
        int i = 0;
        foreach (string row in rows)
        {
            int number = i++;
            text.Append(CultureInfo.InvariantCulture, $"| {row} | {string.Join(" | ", columns.Select(c => cell(c, number)))} |\n");
        }
    }
}
