using System.Text.Json;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>Runs files of conformance vectors: objects through the real control plane, flows as packets through the real pipeline.</summary>
public static class VectorRunner
{
    /// <summary>What a case may require and this runner can give: objects are not checked by an API server.</summary>
    private static readonly string[] Capabilities = ["legacy-address-forms"];

    /// <summary>Runs all cases of a file.</summary>
    /// <exception cref="VectorException">The file cannot be read.</exception>
    public static IReadOnlyList<VectorCaseReport> RunFile(string path)
    {
        try
        {
            return Run(File.ReadAllText(path));
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or VectorException)
        {
            throw new VectorException($"{path}: {Why(e)}", e);
        }
    }

    /// <summary>Runs all cases of a file's text.</summary>
    internal static IReadOnlyList<VectorCaseReport> Run(string json)
    {
        VectorFile file = JsonSerializer.Deserialize(json, VectorJson.Default.VectorFile)
            ?? throw new VectorException("the file holds null instead of cases");
        return [.. file.Cases.Select(Run)];
    }

    private static string Why(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "there is no such file",
        UnauthorizedAccessException => "it is a directory, or this user may not read it",
        JsonException { InnerException: JsonException, LineNumber: { } line } => $"line {line + 1} is not JSON",
        JsonException { LineNumber: { } line } json =>
            $"line {line + 1} is not as in a file of vectors: {json.Path} is of another kind, or lacks something",
        JsonException => "it is not a file of vectors",
        _ => e.Message,
    };

    private static VectorCaseReport Run(VectorCase vector)
    {
        if (Unsupported(vector) is { } reason)
        {
            IEnumerable<VectorStepReport> skipped = vector.Steps.Select(step => new VectorStepReport(
                [.. step.Flows.Select(flow => new VectorFlowReport { Name = flow.Name, SkipReason = reason })], Problems: null, Unchecked: null));
            return new VectorCaseReport(vector.Id, vector.Title, [.. skipped]);
        }

        using var cluster = new VectorCluster(vector);
        using var client = new VectorClient(vector.Id, cluster.Maps);
        var steps = new List<VectorStepReport>();
        foreach (VectorStep step in vector.Steps)
        {
            IReadOnlyList<string> problems = cluster.Apply(step.Objects);
            VectorFlowReport[] flows = [.. step.Flows.Select(client.Run)];
            IReadOnlyList<VectorCheckReport> checks = cluster.Check(step);
            steps.Add(new VectorStepReport(flows, problems.Count == 0 ? null : problems, NotChecked(step))
            {
                Checks = checks.Count == 0 ? null : checks,
            });
        }

        return new VectorCaseReport(vector.Id, vector.Title, steps);
    }

    private static string? Unsupported(VectorCase vector)
    {
        string? requirement = vector.Requires.FirstOrDefault(r => !Capabilities.Contains(r, StringComparer.Ordinal));
        if (requirement is not null)
        {
            return $"the case requires '{requirement}'";
        }

        return vector.Config?.Unknown is { Count: > 0 } unknown ? $"unknown configuration '{unknown.Keys.First()}'" : null;
    }

    private static IReadOnlyList<string>? NotChecked(VectorStep step) =>
        step.Unknown is { Count: > 0 } ? [.. step.Unknown.Keys.Select(key => $"{key}: not checked by this version")] : null;
}
