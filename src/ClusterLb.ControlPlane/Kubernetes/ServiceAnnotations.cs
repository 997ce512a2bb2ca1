using System.Globalization;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>Annotations of a Service that change how it is served. One that is wrong is reported and has no effect; so is one of ours that
/// nobody knows: a typo must not be silent.</summary>
internal static class ServiceAnnotations
{
    /// <summary>How a backend is chosen: <see cref="AlgorithmNames"/>.</summary>
    public const string Algorithm = Prefix + "lb-algorithm";

    /// <summary>The same, as Cilium has it: random or maglev. Ours is stronger.</summary>
    public const string CiliumAlgorithm = "service.cilium.io/lb-algorithm";

    /// <summary>Another service's share of the new connections: <c>web-canary=10</c>, in percent.</summary>
    public const string Split = Prefix + "split";

    /// <summary>What becomes of TCP connections whose backend has left: <see cref="BackendGonePolicyNames"/>.</summary>
    public const string BackendGone = Prefix + "on-backend-gone";

    private const string Prefix = "clusterlb.io/";
    private static readonly string[] Known = [Algorithm, Split, BackendGone];

    /// <summary>The algorithm that the service asks for; the default if it asks for none.</summary>
    public static SelectionAlgorithm ReadAlgorithm(JsonElement metadata, ReadContext context)
    {
        JsonElement annotations = metadata.Field("annotations");
        foreach (string name in (ReadOnlySpan<string>)[Algorithm, CiliumAlgorithm])
        {
            if (!annotations.TryField(name, out JsonElement field))
            {
                continue;
            }

            if (field.ValueKind == JsonValueKind.String && AlgorithmNames.TryParse(field.GetString() ?? "", out SelectionAlgorithm algorithm))
            {
                return algorithm;
            }

            context.Report(
                PathOf(name), $"{field.Shown()} is no algorithm; it is ignored. Known are {AlgorithmNames.All}", ProblemEffect.AnnotationIgnored);
        }

        return SelectionAlgorithm.Default;
    }

    /// <summary>What the service wants for connections whose backend has left; the default if it says nothing.</summary>
    public static BackendGonePolicy ReadBackendGone(JsonElement metadata, ReadContext context)
    {
        if (!metadata.Field("annotations").TryField(BackendGone, out JsonElement field))
        {
            return BackendGonePolicy.Default;
        }

        if (field.ValueKind != JsonValueKind.String || !BackendGonePolicyNames.TryParse(field.GetString() ?? "", out BackendGonePolicy policy))
        {
            context.Report(
                PathOf(BackendGone), $"{field.Shown()} is no such policy; it is ignored. Known are {BackendGonePolicyNames.All}", ProblemEffect.AnnotationIgnored);
            return BackendGonePolicy.Default;
        }

        return policy;
    }

    /// <summary>The share for another service; null without one.</summary>
    public static TrafficSplit? ReadSplit(JsonElement metadata, ReadContext context)
    {
        if (!metadata.Field("annotations").TryField(Split, out JsonElement field))
        {
            return null;
        }

        string text = field.ValueKind == JsonValueKind.String ? field.GetString() ?? "" : "";
        string[] shares = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string[] parts = shares.Length > 0 ? shares[0].Split('=', StringSplitOptions.TrimEntries) : [];
        if (shares.Length > 1)
        {
            return Refuse("names more than one service; one is possible");
        }

        if (parts.Length == 2 && parts[0].Contains('/', StringComparison.Ordinal))
        {
            return Refuse("names a service of another namespace; only its own is possible");
        }

        if (parts.Length != 2 || !IsName(parts[0]) || !int.TryParse(parts[1].TrimEnd('%'), NumberStyles.None, CultureInfo.InvariantCulture, out int percent))
        {
            return Refuse("is not SERVICE=PERCENT, such as web-canary=10");
        }

        if (percent is < 1 or > 100)
        {
            return Refuse("is not from 1 to 100 percent");
        }

        return parts[0] == context.Name.Name
            ? Refuse("names the service itself")
            : new TrafficSplit(context.Name with { Name = parts[0] }, percent);

        TrafficSplit? Refuse(string why)
        {
            context.Report(
                TrafficSplit.Field, $"{field.Shown()} {why}; it is ignored, all connections go to the service's own endpoints", ProblemEffect.AnnotationIgnored);
            return null;
        }
    }

    /// <summary>Reports annotations with our prefix that do not exist, and which one may be meant.</summary>
    public static void ReportUnknown(JsonElement metadata, ReadContext context)
    {
        JsonElement annotations = metadata.Field("annotations");
        if (annotations.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (JsonProperty annotation in annotations.EnumerateObject())
        {
            if (annotation.Name.StartsWith(Prefix, StringComparison.Ordinal) && !Known.Contains(annotation.Name, StringComparer.Ordinal))
            {
                string nearest = Known.MinBy(known => EditDistance(known, annotation.Name))!;
                context.Report(
                    PathOf(annotation.Name), $"there is no such annotation; it is ignored. The nearest one is {nearest}", ProblemEffect.AnnotationIgnored);
            }
        }
    }

    private static string PathOf(string annotation) => $"metadata.annotations[{annotation}]";

    private static bool IsName(string text) =>
        text.Length is > 0 and <= 63 && text.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-');

    /// <summary>Letters to insert, delete or replace (Levenshtein), by one row of the table at a time.</summary>
    private static int EditDistance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[^1];
    }
}
