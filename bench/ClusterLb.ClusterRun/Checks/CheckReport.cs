using System.Globalization;
using System.Text;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>The columns side by side, as Markdown: how many passed, and what the others saw.</summary>
internal static class CheckReport
{
    public static string Of(IReadOnlyList<CheckColumn> columns, IReadOnlyList<string> facts)
    {
        StringBuilder text = ReportText.Begin("checks", facts).Append('\n');
        text.TableHead(["passed"], columns.Select(c => c.Proxy));
        foreach (string group in columns.SelectMany(c => c.Results).Select(r => r.Group).Distinct(StringComparer.Ordinal))
        {
            Row(group, r => r.Group == group);
        }

        Row("**all**", _ => true);
        Row("minutes", null);
        foreach (CheckColumn column in columns.Where(c => c.Results.Any(r => !r.Passed)))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## Failed with {column.Proxy}\n\n");
            foreach (CheckResult failed in column.Results.Where(r => !r.Passed))
            {
                text.Append(CultureInfo.InvariantCulture, $"- {failed.Group}: {failed.Name}. {failed.Failure.ReplaceLineEndings(" ")}\n");
            }
        }

        return text.ToString();

        void Row(string head, Func<CheckResult, bool>? belongs) => text.Append(CultureInfo.InvariantCulture,
            $"| {head} | {string.Join(" | ", columns.Select(c => belongs is null ? Minutes(c) : Passed(c, belongs)))} |\n");
    }

    private static string Minutes(CheckColumn column) => column.Elapsed.TotalMinutes.ToString("0.0", CultureInfo.InvariantCulture);

    private static string Passed(CheckColumn column, Func<CheckResult, bool> belongs)
    {
        CheckResult[] results = [.. column.Results.Where(belongs)];
        return string.Create(CultureInfo.InvariantCulture, $"{results.Count(r => r.Passed)} of {results.Length}");
    }
}
