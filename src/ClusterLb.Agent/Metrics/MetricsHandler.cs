using System.Text;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Agent.Metrics;

/// <summary>Answers on kube-proxy's metrics port: /metrics, /proxyMode, /healthz.</summary>
internal sealed class MetricsHandler(PrometheusText metrics)
{
    // The mode is a word that upstream's end-to-end tests read to know which of them concern this proxy.
    private const string ProxyMode = "clusterlb";

    /// <summary>One request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        (string? text, string type) = context.Request.Path.Value switch
        {
            "/metrics" => (metrics.Write(), PrometheusText.ContentType),
            "/proxyMode" => (ProxyMode, "text/plain; charset=utf-8"),
            "/healthz" => ("ok", "text/plain; charset=utf-8"),
            _ => (null, ""),
        };
        if (text is null)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        byte[] body = Encoding.UTF8.GetBytes(text);
        context.Response.ContentType = type;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
