using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>Writes objects as an administrator does, over HTTP/2: what the tests need of a Kubernetes client, and no more.</summary>
public sealed class KubernetesApi : IDisposable
{
    private readonly HttpClient _http;

    /// <summary>Connects with the first request.</summary>
    /// <param name="server">https://address:port.</param>
    /// <param name="token">A bearer token.</param>
    /// <param name="authorityPem">What the server's certificate is verified by.</param>
    public KubernetesApi(Uri server, string token, string authorityPem)
    {
        var authorities = X509CertificateLoader.LoadCertificate(Encoding.ASCII.GetBytes(authorityPem));
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.None,
            EnableMultipleHttp2Connections = true,
            SslOptions = new SslClientAuthenticationOptions
            {
                CertificateChainPolicy = new X509ChainPolicy
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    CustomTrustStore = { authorities },
                    RevocationMode = X509RevocationMode.NoCheck,
                },
            },
        };
        _http = new HttpClient(handler)
        {
            BaseAddress = server,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
            Timeout = TimeSpan.FromSeconds(60),
        };
    }

    /// <summary>The path of a resource: <c>/api/v1/namespaces/NS/services/NAME/SUBRESOURCE</c>.</summary>
    public static string PathOf(string apiVersion, string plural, string ns, string name = "", string subresource = "")
    {
        string[] parts =
        [
            apiVersion.Contains('/', StringComparison.Ordinal) ? $"/apis/{apiVersion}" : $"/api/{apiVersion}",
            ns.Length > 0 ? $"namespaces/{ns}" : "", plural, name, subresource,
        ];
        return string.Join('/', parts.Where(p => p.Length > 0));
    }

    /// <summary>A request that must succeed; nothing comes back of one that is answered with nothing.</summary>
    /// <exception cref="KubernetesApiException">It was refused; the message has the server's words.</exception>
    public async Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body = null, string contentType = "application/json")
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, contentType);
        }

        using HttpResponseMessage response = await _http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode
            ? text.StartsWith('{') ? JsonNode.Parse(text)!.AsObject() : []
            : throw new KubernetesApiException(response.StatusCode, $"{method} {path} was answered with {(int)response.StatusCode}: {text}");
    }

    /// <summary>True if a GET succeeds; false if it does not, or nobody answers.</summary>
    public async Task<bool> AnswersAsync(string path)
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            using HttpResponseMessage response = await _http.GetAsync(path, patience.Token);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }

    public void Dispose() => _http.Dispose();
}
