using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Testing.Kubernetes;

/// <content>What it answers.</content>
public sealed partial class FakeApiServer
{
    /// <summary>What is left of lists in pages, by continue token.</summary>
    private readonly ConcurrentDictionary<string, (long Version, IReadOnlyList<JsonObject> Items)> _continued = new(StringComparer.Ordinal);

    internal static JsonObject StatusOf(int code, string reason, string message, string cause = "") => new()
    {
        ["kind"] = "Status",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject(),
        ["status"] = "Failure",
        ["message"] = message,
        ["reason"] = reason,
        ["code"] = code,
        ["details"] = new JsonObject { ["causes"] = new JsonArray(new JsonObject { ["reason"] = cause }) },
    };

    private async Task HandleAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        FakeResource? resource = FakeResource.All.FirstOrDefault(r => Covers(r, request.Path.Value ?? ""));
        string verb = request.Method switch
        {
            "GET" => request.Query["watch"] == "true" ? "watch" : "list",
            "POST" => "create",
            "PATCH" => "patch",
            string other => other.ToLowerInvariant(),
        };
        try
        {
            await AnswerAsync(context, resource, verb);
        }
        catch (OperationCanceledException)
        {
            context.Abort();
        }
    }

    private async Task AnswerAsync(HttpContext context, FakeResource? resource, string verb)
    {
        string token = context.Request.Headers.Authorization.ToString().Replace("Bearer ", "", StringComparison.Ordinal);
        string certificate = context.Connection.ClientCertificate?.Subject ?? "";
        JsonObject? refusal = null;
        if (!Tokens.ContainsKey(token) && !ClientCertificates.ContainsKey(certificate))
        {
            refusal = StatusOf(401, "Unauthorized", "Unauthorized");
        }
        else if (resource is null || (resource.Plural == "servicecidrs" && !OffersServiceCidrs))
        {
            refusal = StatusOf(404, "NotFound", "the server could not find the requested resource");
        }
        else if (_forbidden.ContainsKey(resource.Plural))
        {
            refusal = StatusOf(403, "Forbidden", $"{resource.Plural} is forbidden: User \"system:serviceaccount:kube-system:clusterlb\" cannot {verb} " +
                $"resource \"{resource.Plural}\" in API group \"{resource.Group}\" at the cluster scope");
        }
        else if (TakeFailure(resource.Plural) is { } failure)
        {
            refusal = StatusOf((int)failure.Status, failure.Reason, $"a failure that was asked for ({failure.Reason})", failure.Cause);
            if (failure.RetryAfterSeconds > 0)
            {
                context.Response.Headers.RetryAfter = failure.RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
            }
        }
        else if (verb == "watch" && context.Request.Query["sendInitialEvents"] == "true" && !StreamsLists)
        {
            refusal = StatusOf(422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
        }

        int status = refusal is null ? verb == "create" ? 201 : 200 : (int)refusal["code"]!;
        _requests.Enqueue(new FakeRequest(
            verb, resource?.Group ?? "", resource?.Plural ?? context.Request.Path, context.Request.QueryString.Value ?? "", token, certificate, context.Request.Protocol,
            context.Request.Headers.UserAgent.ToString(), context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal), status));
        switch (verb)
        {
            case var _ when refusal is not null:
                await WriteAsync(context, status, refusal);
                break;
            case "list":
                await ListAsync(context, resource!);
                break;
            case "watch":
                await WatchAsync(context, resource!);
                break;
            case "create" or "patch":
                await ChangeAsync(context, resource!, verb, status);
                break;
            default:
                await WriteAsync(context, 405, StatusOf(405, "MethodNotAllowed", "the fake does not know this"));
                break;
        }
    }

    private async Task ListAsync(HttpContext context, FakeResource resource)
    {
        IQueryCollection query = context.Request.Query;
        string next = query["continue"].ToString();
        (long version, IReadOnlyList<JsonObject> items) = next.Length == 0 ? _store.List(resource, Selector(query))
            : !ExpiresContinueTokens && _continued.TryRemove(next, out var rest) && _store.After(rest.Version) is not null ? rest : (0, []);
        if (version == 0)
        {
            await WriteAsync(context, 410, StatusOf(410, "Expired", "The provided continue parameter is too old"));
            return;
        }

        int limit = int.TryParse(query["limit"], CultureInfo.InvariantCulture, out int given) && given > 0 ? given : int.MaxValue;
        var metadata = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture) };
        if (items.Count > limit)
        {
            string token = Guid.NewGuid().ToString("N") + "+/="; // needs escaping, as real ones do
            _continued[token] = (version, [.. items.Skip(limit)]);
            metadata["continue"] = token;
            metadata["remainingItemCount"] = items.Count - limit;
        }

        await WriteAsync(context, 200, new JsonObject
        {
            ["kind"] = resource.Kind + "List",
            ["apiVersion"] = resource.ApiVersion,
            ["metadata"] = metadata,
            ["items"] = new JsonArray([.. items.Take(limit).Select(Untyped)]),
        });
    }

    private async Task WatchAsync(HttpContext context, FakeResource resource)
    {
        IQueryCollection query = context.Request.Query;
        bool isStream = query["sendInitialEvents"] == "true";
        long version = long.TryParse(query["resourceVersion"], CultureInfo.InvariantCulture, out long given) ? given : 0;
        if (RefusesExpiredVersions && !isStream && _store.After(version) is null)
        {
            await WriteAsync(context, 410, StatusOf(410, "Expired", $"too old resource version: {version}"));
            return;
        }

        context.Response.ContentType = "application/json";
        await context.Response.StartAsync();
        await context.Response.Body.FlushAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, context.RequestAborted);
        if (double.TryParse(query["timeoutSeconds"], CultureInfo.InvariantCulture, out double seconds))
        {
            stop.CancelAfter(TimeSpan.FromSeconds(seconds));
        }

        var watch = new FakeWatch(resource, _store, Selector(query));
        _watches[watch] = true;
        try
        {
            if (!await watch.RunAsync(version, isStream, line => SendAsync(context, line), stop.Token))
            {
                context.Abort();
            }
        }
        catch (OperationCanceledException) when (!_stopping.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            // Its time is over: a watch ends without a word.
        }
        finally
        {
            _watches.TryRemove(watch, out _);
        }
    }

    private async Task ChangeAsync(HttpContext context, FakeResource resource, string verb, int status)
    {
        using var reader = new StreamReader(context.Request.Body);
        JsonObject body = JsonNode.Parse(await reader.ReadToEndAsync())!.AsObject();
        if (verb == "patch")
        {
            string[] path = context.Request.Path.Value!.Split('/');
            try
            {
                body = await PatchAsync(resource.Plural, path[^3], path[^1], body);
            }
            catch (KubernetesApiException e)
            {
                await WriteAsync(context, 404, StatusOf(404, "NotFound", e.Message));
                return;
            }
        }
        else if (body["metadata"]!["name"]!.ToString() is { } name && _store.Find(resource, body["metadata"]!["namespace"]?.ToString() ?? "", name) is not null)
        {
            await WriteAsync(context, 409, StatusOf(409, "AlreadyExists", $"{resource.Plural} \"{name}\" already exists"));
            return;
        }
        else
        {
            body = _store.Put(resource, body);
        }

        await WriteAsync(context, status, body);
    }

    private async Task WriteAsync(HttpContext context, int status, JsonObject body)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
        if (Compresses && context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal))
        {
            using var buffer = new MemoryStream();
            await using (var gzip = new GZipStream(buffer, CompressionLevel.Fastest))
            {
                await gzip.WriteAsync(bytes);
            }

            bytes = buffer.ToArray();
            context.Response.Headers.ContentEncoding = "gzip";
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await SendAsync(context, bytes);
    }

    private async Task SendAsync(HttpContext context, byte[] bytes)
    {
        if (IsSilent)
        {
            await context.Response.StartAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        }

        int piece = PieceBytes > 0 ? PieceBytes : bytes.Length;
        for (int at = 0; at < bytes.Length; at += piece)
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(at, Math.Min(piece, bytes.Length - at)), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static bool Covers(FakeResource resource, string path)
    {
        string root = resource.Path[..^(resource.Plural.Length + 1)];
        return path == resource.Path
            || (path.StartsWith(root + "/namespaces/", StringComparison.Ordinal) && path.Split('/') is { } parts
                && parts.SkipWhile(part => part != "namespaces").Skip(2).FirstOrDefault() == resource.Plural);
    }

    private static FakeSelector Selector(IQueryCollection query) => new(query["labelSelector"].ToString(), query["fieldSelector"].ToString());

    // The items of a list do not repeat their kind.
    private static JsonNode Untyped(JsonObject item)
    {
        JsonObject copy = item.DeepClone().AsObject();
        copy.Remove("kind");
        copy.Remove("apiVersion");
        return copy;
    }
}
