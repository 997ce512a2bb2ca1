using System.Globalization;
using System.Text;

namespace ClusterLb.ClusterRun.Changes;

/// <summary>The columns side by side, as Markdown.</summary>
internal static class ChangeReport
{
    public static string Of(IReadOnlyList<ChangeColumn> columns, IReadOnlyList<string> facts)
    {
        StringBuilder text = ReportText.Begin("what changes cost", facts).Append('\n');
        text.TableHead(["scenario", ""], columns.Select(c => c.Proxy));
        for (int i = 0; i < columns[0].Steps.Count; i++)
        {
            Row(i, columns[0].Steps[i].Name, "new TCP lost, slowest", s => $"**{s.NewTcp.Lost}** of {s.NewTcp.Total}, {Ms(s.NewTcp)}");
            Row(i, "", "new UDP lost", s => $"**{s.NewUdp.Lost}** of {s.NewUdp.Total}");
            Row(i, "", "long UDP: messages lost", s => $"**{s.LongUdp.Lost}** of {s.LongUdp.Total}");
            Row(i, "", "long TCP: broken, longest silence", s => $"**{s.LongTcp.Lost}**, {Ms(s.LongTcp)}");
            Row(i, "", "why", s => s.Reasons);
        }

        text.Append(
            """

            A long TCP connection that breaks because its pod ended is not counted; everything else that got no right answer is: within ten
            seconds for TCP, one for UDP. Silence: how long a message on a long connection took at the most, from sending it to its checked echo.

            """);
        return text.ToString();

        void Row(int step, string name, string what, Func<ChangeResult, string> cell) => text.Append(CultureInfo.InvariantCulture,
            $"| {name} | {what} | {string.Join(" | ", columns.Select(c => c.Steps[step].NewTcp.Total == 0 ? "–" : cell(c.Steps[step])))} |\n");
    }

    private static string Ms(Tally tally) => string.Create(CultureInfo.InvariantCulture, $"{tally.Slowest.TotalMilliseconds:0} ms");
}
