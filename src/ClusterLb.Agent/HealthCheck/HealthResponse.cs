using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>The answer of /healthz and /livez: kube-proxy's keys in kube-proxy's order, which dashboards and cloud balancers know.</summary>
/// <remarks>Two keys of ours stand behind them when there is something to say: reason (503) and warnings.</remarks>
internal static class HealthResponse
{
    private const string Draining = "the node is being drained";

    // The text is shown to people, not put into a web page.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Status and body.</summary>
    /// <param name="health">At <paramref name="now"/>.</param>
    /// <param name="withNode">/healthz: a node that is being drained is refused. /livez does not look at it.</param>
    /// <param name="now">For currentTime.</param>
    public static (int Status, byte[] Body) Of(AgentHealth health, bool withNode, DateTimeOffset now)
    {
        bool ok = health.Healthy && (!withNode || health.NodeEligible);
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Options))
        {
            json.WriteStartObject();
            json.WriteString("lastUpdated", Rfc3339(ok ? now : health.LastUpdated ?? DateTimeOffset.MinValue));
            json.WriteString("currentTime", Rfc3339(now));
            if (withNode)
            {
                json.WriteBoolean("nodeEligible", health.NodeEligible);
            }

            json.WriteBoolean("healthy", ok);
            json.WriteStartObject("status");
            foreach (FamilyHealth family in health.Families)
            {
                json.WriteStartObject(family.Name);
                json.WriteString("lastUpdated", Rfc3339(family.LastUpdated ?? DateTimeOffset.MinValue));
                json.WriteBoolean("healthy", family.Healthy);
                json.WriteEndObject();
            }

            json.WriteEndObject();
            WriteReasons(json, health, withNode);
            json.WriteEndObject();
        }

        return (ok ? 200 : 503, stream.ToArray());
    }

    private static void WriteReasons(Utf8JsonWriter json, AgentHealth health, bool withNode)
    {
        string reason = string.Join("; ", withNode && !health.NodeEligible ? health.Problems.Append(Draining) : health.Problems);
        if (reason.Length > 0)
        {
            json.WriteString("reason", reason);
        }

        if (!health.Warnings.IsEmpty)
        {
            json.WriteString("warnings", string.Join("; ", health.Warnings));
        }
    }

    // As Go's time.RFC3339Nano: no zeros at the end.
    internal static string Rfc3339(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
}
