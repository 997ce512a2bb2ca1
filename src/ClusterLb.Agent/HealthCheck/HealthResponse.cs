using System.Globalization;
using System.Text.Json;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>The answer of /healthz and /livez, byte for byte what dashboards and cloud balancers know from kube-proxy.</summary>
internal static class HealthResponse
{
    /// <summary>Status and body.</summary>
    /// <param name="health">At <paramref name="now"/>.</param>
    /// <param name="withNode">/healthz: a node that is being drained is refused. /livez does not look at it.</param>
    /// <param name="now">For currentTime.</param>
    public static (int Status, byte[] Body) Of(AgentHealth health, bool withNode, DateTimeOffset now)
    {
        bool ok = health.Healthy && (!withNode || health.NodeEligible);
        DateTimeOffset updated = health.Healthy ? now : health.LastUpdated ?? DateTimeOffset.MinValue;
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            WriteTimes(json, updated, now);
            if (withNode)
            {
                json.WriteBoolean("nodeEligible", health.NodeEligible);
            }

            json.WriteBoolean("healthy", ok);
            json.WriteStartObject("status");
            foreach (string family in health.Families)
            {
                json.WriteStartObject(family);
                WriteTimes(json, updated, now);
                json.WriteBoolean("healthy", health.Healthy);
                json.WriteEndObject();
            }

            json.WriteEndObject();
            if (!health.Healthy)
            {
                json.WriteString("reason", string.Join("; ", health.Reasons));
            }

            json.WriteEndObject();
        }

        return (ok ? 200 : 503, stream.ToArray());
    }

    private static void WriteTimes(Utf8JsonWriter json, DateTimeOffset updated, DateTimeOffset now)
    {
        json.WriteString("lastUpdated", Rfc3339(updated));
        json.WriteString("currentTime", Rfc3339(now));
    }

    private static string Rfc3339(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);
}
