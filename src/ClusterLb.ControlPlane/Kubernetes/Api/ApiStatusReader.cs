using System.Net;
using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Turns a v1 Status, by which the API server refuses, into an <see cref="ApiException"/> that says what to do.</summary>
internal static class ApiStatusReader
{
    private const int MaxText = 400; // characters of a body that is no Status

    /// <summary>Of an answer that is not 2xx.</summary>
    /// <param name="code">The answer's.</param>
    /// <param name="body">Whatever came with it.</param>
    /// <param name="action">What was asked for, such as <c>list services</c>.</param>
    /// <param name="identity">As whom.</param>
    /// <param name="retryAfter">By the header.</param>
    public static ApiException Read(HttpStatusCode code, ReadOnlyMemory<byte> body, string action, string identity, TimeSpan? retryAfter)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return Read(document.RootElement, code, action, identity, retryAfter);
        }
        catch (JsonException)
        {
            string text = System.Text.Encoding.UTF8.GetString(body.Span[..Math.Min(body.Length, MaxText)]).Trim();
            return Explain(code, "", text, action, identity, retryAfter);
        }
    }

    /// <summary>Of an ERROR event in a watch.</summary>
    public static ApiException Read(JsonElement status, string action, string identity) =>
        Read(status, HttpStatusCode.InternalServerError, action, identity, null);

    private static ApiException Read(JsonElement status, HttpStatusCode code, string action, string identity, TimeSpan? retryAfter)
    {
        if (status.Field("code") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out int value))
        {
            code = (HttpStatusCode)value;
        }

        JsonElement details = status.Field("details");
        if (retryAfter is null && details.Field("retryAfterSeconds") is { ValueKind: JsonValueKind.Number } wait && wait.TryGetInt32(out int seconds))
        {
            retryAfter = TimeSpan.FromSeconds(seconds);
        }

        bool isTooLarge = details.Items("causes").Any(cause => cause.TryText("reason", out string? why) && why == ApiException.TooLarge);
        string reason = isTooLarge ? ApiException.TooLarge : status.TryText("reason", out string? given) ? given : "";
        return Explain(code, reason, status.TryText("message", out string? message) ? message : "", action, identity, retryAfter);
    }

    private static ApiException Explain(HttpStatusCode code, string reason, string text, string action, string identity, TimeSpan? retryAfter)
    {
        string said = text.Length > 0 ? $" The server says: {text.TrimEnd('.')}." : "";
        string message = code switch
        {
            HttpStatusCode.Unauthorized => $"Cannot {action}: 401, the API server does not accept {identity}; is it expired, or of another cluster?{said}",
            HttpStatusCode.Forbidden => $"Cannot {action}: 403, the permission to {action} is missing; see deploy/kubernetes/rbac.yaml.{said}",
            _ => $"Cannot {action}: {(int)code}{(reason.Length > 0 ? $" {reason}" : "")}.{said}",
        };
        return new ApiException(message, code, reason, retryAfter);
    }
}
