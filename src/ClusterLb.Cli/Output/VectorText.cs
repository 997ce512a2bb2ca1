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
            string mark = flows.Any(flow => flow.Pass == false) ? "FAIL" : passed == 0 ? "skip" : "ok";
            writer.WriteLine($"{mark,-5}{vector.Id}: {passed} of {flows.Length} flows");
            foreach (VectorFlowReport flow in flows)
            {
                WriteDetails(flow, writer);
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
