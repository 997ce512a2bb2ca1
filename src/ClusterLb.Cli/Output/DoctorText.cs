using ClusterLb.Agent.Doctor;

namespace ClusterLb.Cli.Output;

/// <summary>The doctor's report for people: a row per check, what it costs and what to do below the finding; then what the machine can do.</summary>
internal static class DoctorText
{
    /// <summary>Prints it.</summary>
    public static void Write(DoctorReport report, Terminal terminal)
    {
        var table = new TextTable("CHECK", "VERDICT", "FINDING");
        foreach (CheckResult check in report.Checks)
        {
            string cost = check.Cost.Length == 0 ? "" : $"\ncosts: {check.Cost}";
            string advice = check.Advice.Length == 0 ? "" : $"\ndo: {check.Advice}";
            table.Add(check.Name, Words.CheckVerdictOf(check.Verdict), check.Finding + cost + advice);
        }

        table.WriteTo(terminal.Out, terminal.Width);
        terminal.Out.WriteLine();
        CapabilityText.Write(report.Capabilities, terminal);
        terminal.Out.WriteLine();
        int failed = report.Checks.Count(check => check.Verdict == CheckVerdict.Failed);
        int warnings = report.Checks.Count(check => check.Verdict == CheckVerdict.Warning);
        terminal.Out.WriteLine($"{report.Checks.Count} checks: {failed} failed, {warnings} warnings");
    }
}
