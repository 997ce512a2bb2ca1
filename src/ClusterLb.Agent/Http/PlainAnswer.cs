using System.Text;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Agent.Http;

/// <summary>Short answers in the form of Go's servers, which scripts compare with.</summary>
internal static class PlainAnswer
{
    /// <summary>The content type of plain text.</summary>
    public const string Text = "text/plain; charset=utf-8";

    /// <summary>Writes a whole answer.</summary>
    public static async Task WriteAsync(HttpContext context, string body, string contentType = Text, int status = StatusCodes.Status200OK)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    /// <summary>Nothing answers on this path.</summary>
    public static Task NotFoundAsync(HttpContext context) =>
        WriteAsync(context, "404 page not found\n", status: StatusCodes.Status404NotFound);
}
