using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>
/// An API server in this process that speaks list and watch as the real one does, over HTTP and TLS, for the resources that ClusterLb
/// reads; and that can be broken in every way a test needs.
/// </summary>
/// <remarks>
/// Objects are not validated, so that a test may put what a real server refuses. Thread-safe. Where it differs from the real one,
/// the real one is right.
/// </remarks>
public sealed partial class FakeApiServer : IApiServerUnderTest
{
    private readonly ServerCertificates _certificates = new();
    private readonly FakeStore _store = new();
    private readonly ConcurrentDictionary<string, bool> _forbidden = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<FakeWatch, bool> _watches = new();
    private readonly ConcurrentQueue<FakeRequest> _requests = new();
    private readonly HttpProtocols _protocols;
    private WebApplication? _server;
    private CancellationTokenSource _stopping = new();

    private FakeApiServer(HttpProtocols protocols) => _protocols = protocols;

    public string Version => "fake";

    public bool IsReal => false;

    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.Loopback, 0);

    public string AuthorityPem => _certificates.AuthorityPem;

    public string AgentToken { get; } = "agent-" + Guid.NewGuid().ToString("N");

    /// <summary>Tokens that it accepts. Nobody else gets in, unless by a certificate.</summary>
    public ConcurrentDictionary<string, bool> Tokens { get; } = new(StringComparer.Ordinal);

    /// <summary>Certificates of clients that it accepts, by subject.</summary>
    public ConcurrentDictionary<string, bool> ClientCertificates { get; } = new(StringComparer.Ordinal);

    /// <summary>What was asked of it, in order.</summary>
    public IReadOnlyList<FakeRequest> Requests => [.. _requests];

    /// <summary>Events that were written to it.</summary>
    public IReadOnlyList<JsonObject> Events => _store.List(FakeResource.Of("events"), FakeSelector.All).Items;

    /// <summary>Answers sendInitialEvents; else refuses it as a server of before does.</summary>
    public bool StreamsLists { get; set; } = true;

    /// <summary>Has networking.k8s.io/v1 ServiceCIDR.</summary>
    public bool OffersServiceCidrs { get; set; } = true;

    /// <summary>Compresses lists for whom it may.</summary>
    public bool Compresses { get; set; }

    /// <summary>Accepts requests and sends heads, but no body: a server that hangs.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Bodies are sent in pieces of so many bytes, each at its own time; 0: as they come.</summary>
    public int PieceBytes { get; set; }

    /// <summary>Forgets what is left of a list in pages as soon as the first page is out.</summary>
    public bool ExpiresContinueTokens { get; set; }

    /// <summary>A forgotten version is answered with status 410, not with an event.</summary>
    public bool RefusesExpiredVersions { get; set; }

    /// <summary>Starts one on a port of the kernel's choosing.</summary>
    /// <param name="protocols">What it offers by ALPN.</param>
    public static async Task<FakeApiServer> StartNewAsync(HttpProtocols protocols = HttpProtocols.Http1AndHttp2)
    {
        var server = new FakeApiServer(protocols);
        server.Tokens[server.AgentToken] = true;
        await server.StartAsync();
        return server;
    }

    public async Task StartAsync()
    {
        _stopping = new CancellationTokenSource();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(EndPoint, listen =>
        {
            listen.Protocols = _protocols;
            listen.UseHttps(https =>
            {
                https.ServerCertificate = X509Certificate2.CreateFromPem(_certificates.ServerPem, _certificates.ServerKeyPem);
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                https.AllowAnyClientCertificate();
            });
        }));
        WebApplication server = builder.Build();
        server.Run(HandleAsync);
        await server.StartAsync();
        var address = new Uri(server.Urls.Single());
        EndPoint = new IPEndPoint(IPAddress.Loopback, address.Port);
        _server = server;
    }

    public async Task KillAsync()
    {
        if (_server is { } server)
        {
            _server = null;
            CutWatches();
            await _stopping.CancelAsync();
            using var now = new CancellationTokenSource(0);
            await server.StopAsync(now.Token);
            await server.DisposeAsync();
        }
    }

    public async Task RestartCompactedAsync()
    {
        await KillAsync();
        _store.Compact();
        await StartAsync();
    }

    public Task ForbidAgentAsync(string? plural)
    {
        if (plural is null)
        {
            _forbidden.Clear();
        }
        else
        {
            _forbidden[plural] = true;
        }

        return Task.CompletedTask;
    }

    /// <summary>Creates or replaces an object.</summary>
    public JsonObject Put(JsonObject item) => _store.Put(FakeResource.All.Single(r => r.Kind == (string?)item["kind"]), item);

    /// <summary>Deletes an object; it is no error if there is none.</summary>
    public void Delete(string plural, string ns, string name) => _store.Delete(FakeResource.Of(plural), ns, name);

    /// <summary>Forgets all versions but the newest, while running: watches that are open go on.</summary>
    public void Compact() => _store.Compact();

    public Task<JsonObject> CreateAsync(JsonObject item) => Task.FromResult(Put(item));

    public Task<JsonObject> PatchAsync(string plural, string ns, string name, JsonObject patch, string subresource = "")
    {
        FakeResource resource = FakeResource.Of(plural);
        JsonObject item = _store.Find(resource, ns, name)?.DeepClone().AsObject()
            ?? throw new KubernetesApiException(HttpStatusCode.NotFound, $"{plural} {ns}/{name} not found");
        Merge(item, patch);
        return Task.FromResult(_store.Put(resource, item));
    }

    public Task<IReadOnlyList<JsonObject>> EventsAsync(string ns) =>
        Task.FromResult<IReadOnlyList<JsonObject>>([.. Events.Where(item => (string?)item["metadata"]!["namespace"] == ns)]);

    public Task DeleteAsync(string plural, string ns, string name)
    {
        Delete(plural, ns, name);
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _stopping.Dispose();
        _certificates.Dispose();
    }

    // RFC 7386.
    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach ((string name, JsonNode? value) in patch)
        {
            if (value is null)
            {
                target.Remove(name);
            }
            else if (value is JsonObject inner)
            {
                if (target[name] is not JsonObject child)
                {
                    target[name] = child = [];
                }

                Merge(child, inner);
            }
            else
            {
                target[name] = value.DeepClone();
            }
        }
    }
}
