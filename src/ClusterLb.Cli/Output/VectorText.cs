using ClusterLb.Agent.Explain.Vectors;

namespace ClusterLb.Cli.Output;

/// <summary>A report of conformance vectors: a line per case, more where something is not as expected.</summary>
internal static class VectorText
{
    /// <summary>Prints it.</summary>
    public static void Write(VectorReport report, TextWriter writer)
    {
        foreach (VectorCaseReport vector in report.Cases)
        {
            VectorFlowReport[] flows = [.. vector.Steps.SelectMany(step => step.Flows)];
            int passed = flows.Count(flow => flow.Pass == true);
            VectorCheckReport[] checks = [.. vector.Steps.SelectMany(step => step.Checks ?? [])];
            bool isFailed = flows.Any(flow => flow.Pass == false) || checks.Any(check => check.Pass == false);
            string mark = isFailed ? "FAIL" : passed == 0 && !checks.Any(check => check.Pass == true) ? "skip" : "ok";
            writer.WriteLine($"{mark,-5}{vector.Id}: {passed} of {flows.Length} flows");
            foreach (VectorFlowReport flow in flows)
            {
                WriteDetails(flow, writer);
            }

            foreach (VectorCheckReport check in checks)
            {
                foreach (string failure in check.Pass is null ? ["not checked by this version"] : check.Failures ?? [])
                {
                    writer.WriteLine($"       {check.Name}: {failure}");
                }
            }

            foreach (string line in vector.Steps.SelectMany(step => (step.Problems ?? []).Concat(step.Unchecked ?? [])).Distinct(StringComparer.Ordinal))
            {
                writer.WriteLine($"       note: {line}");
            }
        }

        writer.WriteLine($"{report.Passed} passed, {report.Failed} failed, {report.Skipped} skipped");
    }

    private static void WriteDetails(VectorFlowReport flow, TextWriter writer)
    {
        foreach (string failure in flow.Failures ?? [])
        {
            writer.WriteLine($"       {flow.Name}: {failure}");
        }

        if (flow.SkipReason is not null)
        {
            writer.WriteLine($"       {flow.Name}: skipped, {flow.SkipReason}");
        }
    }
}
