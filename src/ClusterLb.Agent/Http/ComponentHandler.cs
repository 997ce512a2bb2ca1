using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ClusterLb.Agent.Configuration;
using ClusterLb.Agent.Metrics;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Agent.Http;

/// <summary>Answers on kube-proxy's metrics port: /metrics, /proxyMode, /healthz, /configz, /statusz, /flagz and, if profiling is on, /debug/*.</summary>
internal sealed class ComponentHandler(PrometheusText metrics, AgentOptions options, DateTimeOffset startedAt, DebugHandler? debug, TimeProvider time)
{
    // The mode is a word that upstream's end-to-end tests read to know which of them concern this proxy.
    private const string ProxyMode = "clusterlb";

    private const string Paths = "/configz /flagz /healthz /metrics /proxyMode /statusz";

    private const string ForPeople =
        "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n";

    /// <summary>One request.</summary>
    public Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        "/metrics" => PlainAnswer.WriteAsync(context, metrics.Write(), PrometheusText.ContentType),
        "/proxyMode" => PlainAnswer.WriteAsync(context, ProxyMode),
        "/healthz" => PlainAnswer.WriteAsync(context, "ok"),
        "/configz" => PlainAnswer.WriteAsync(context, Configuration(), "application/json"),
        "/statusz" => PlainAnswer.WriteAsync(context, Status()),
        "/flagz" => PlainAnswer.WriteAsync(context, Flags()),
        { } path when debug is not null && path.StartsWith("/debug/", StringComparison.Ordinal) => debug.HandleAsync(context),
        _ => PlainAnswer.NotFoundAsync(context),
    };

    // The group names what a document is, as kube-proxy has it; one group a document.
    private string Configuration() => new JsonObject
    {
        ["kubeproxy.config.k8s.io"] = EffectiveConfiguration.KubeProxy(options),
        ["clusterlb.io"] = EffectiveConfiguration.ClusterLb(options),
    }.ToJsonString();

    private string Status()
    {
        TimeSpan up = time.GetUtcNow() - startedAt;
        return string.Create(CultureInfo.InvariantCulture, $"""

            clusterlb statusz
            {ForPeople}
            Started= {startedAt.UtcDateTime:ddd MMM dd HH:mm:ss} UTC {startedAt.UtcDateTime:yyyy}
            Up= {(long)up.TotalHours} hr {up.Minutes:00} min {up.Seconds:00} sec
            Runtime version= {Environment.Version}
            Binary version= {AgentRecord.ProgramVersion}
            Paths= {Paths}

            """);
    }

    private string Flags()
    {
        var text = new StringBuilder($"\nclusterlb flagz\n{ForPeople}");
        foreach ((string flag, string value) in options.Flags.OrderBy(flag => flag.Key, StringComparer.Ordinal))
        {
            text.Append(flag).Append(": ").Append(value).Append('\n');
        }

        return text.ToString();
    }
}
