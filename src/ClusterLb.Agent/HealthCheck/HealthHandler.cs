using ClusterLb.Agent.Http;
using ClusterLb.Agent.Metrics;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Answers on kube-proxy's health port: /healthz for balancers outside, /livez for kubelet.</summary>
internal sealed class HealthHandler(Func<AgentHealth> health, AgentMetrics metrics, TimeProvider time)
{
    /// <summary>One request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        string path = context.Request.Path.Value ?? "";
        if (path is not ("/healthz" or "/livez"))
        {
            await PlainAnswer.NotFoundAsync(context);
            return;
        }

        bool withNode = path == "/healthz";
        (int status, byte[] body) = HealthResponse.Of(health(), withNode, time.GetUtcNow());
        metrics.CountHealthAnswer(withNode, status);
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
