using System.Diagnostics.Metrics;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.Testing.Kubernetes;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;
using Kubeconfig = ClusterLb.Testing.Kubernetes.Kubeconfig;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>Who the client is, whom it believes, and how it connects.</summary>
public sealed class ConnectionTests
{
    [Fact]
    public async Task It_speaks_HTTP2_and_says_who_it_is()
    {
        await using SourceFixture it = await StartAsync();

        Assert.All(it.Server.Requests, r => Assert.Equal("HTTP/2", r.Protocol));
        Assert.All(it.Server.Requests, r => Assert.Matches(@"^clusterlb/\d+\.\d+\.\d+ \(linux/\w+\)$", r.UserAgent));
    }

    [Fact]
    public async Task It_speaks_HTTP1_with_a_server_that_has_nothing_else()
    {
        await using SourceFixture it = await PrepareAsync(await FakeApiServer.StartNewAsync(HttpProtocols.Http1));
        it.Server.Put(Service("web"));
        it.Follow();
        await it.UntilAsync(() => it.Source.Status.Connected);

        Assert.NotNull(it.Find("web"));
        Assert.All(it.Server.Requests, r => Assert.Equal("HTTP/1.1", r.Protocol));
    }

    [Fact]
    public async Task Nothing_but_list_and_watch_of_what_is_read_and_events_is_asked_for()
    {
        string[] allowed = [.. Rules().SelectMany(rule => from r in rule.Resources from verb in rule.Verbs select $"{verb} {rule.Group}/{r}")];
        await using SourceFixture it = await StartAsync(server => server.StreamsLists = false);
        await it.UntilAsync(() => it.Source.Status.Connected);
        it.Source.Events.Warn("Service", new("test", "web"), "NotServed", "a test");
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        string[] asked = [.. it.Server.Requests.Select(r => $"{r.Verb} {r.Group}/{r.Plural}").Distinct()];
        Assert.Empty(asked.Except(allowed));
        Assert.Equal(["patch events.k8s.io/events"], allowed.Except(asked)); // counts of series come later
    }

    [Fact]
    public async Task A_token_file_is_read_again_when_it_rotates()
    {
        await using SourceFixture it = await PrepareAsync();
        string file = it.Write("token", it.Server.AgentToken + "\n");
        it.Follow(connection: Load(it, Kubeconfig.WithTokenFile(Address(it), it.Server.AuthorityPem, file)));
        await it.UntilAsync(() => it.Source.Status.Connected);

        it.Server.Tokens.Clear();
        it.Server.Tokens["fresh"] = true;
        it.Server.EndWatches();
        await it.UntilAsync(() => it.Source.Status is { Connected: false } status && status.LastError.Contains("401", StringComparison.Ordinal));
        Assert.Contains(file, it.Source.Status.LastError, StringComparison.Ordinal);
        Assert.DoesNotContain(it.Server.AgentToken, it.Source.Status.LastError, StringComparison.Ordinal);

        it.Write("token", "fresh");
        await it.UntilAsync(() => it.Source.Status.Connected);
        File.Delete(file); // between two files the last one counts
        int before = it.Server.Requests.Count(r => r.Token == "fresh");
        await it.UntilAsync(() =>
        {
            it.Server.EndWatches(); // those that are open by now
            return it.Server.Requests.Count(r => r.Token == "fresh") >= before + 4;
        });
        await it.UntilAsync(() => it.Source.Status.Connected);
    }

    [Fact]
    public async Task A_client_certificate_is_shown_and_read_again_when_it_rotates()
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.ClientCertificates["CN=first"] = true;
        it.Server.ClientCertificates["CN=second"] = true;
        WriteCertificate(it, "first");
        it.Follow(connection: Load(it, WithUser(it, "client-certificate: client.crt, client-key: client.key")));
        await it.UntilAsync(() => it.Source.Status.Connected);
        Assert.All(it.Server.Requests, r => Assert.Equal("CN=first", r.ClientCertificate));

        WriteCertificate(it, "second");
        await it.Server.KillAsync();
        await it.Server.StartAsync();
        await it.UntilAsync(() => it.Server.Requests[^1].ClientCertificate == "CN=second" && it.Source.Status.Connected);
    }

    [Fact]
    public async Task A_pod_uses_the_files_of_its_service_account()
    {
        await using SourceFixture it = await PrepareAsync();
        it.Write("token", it.Server.AgentToken);
        string folder = Path.GetDirectoryName(it.Write("ca.crt", it.Server.AuthorityPem))!;
        it.Follow(connection: ApiConnection.InCluster(name => Variable(it, name), folder));
        await it.UntilAsync(() => it.Source.Status.Connected);
        Assert.Contains("service account", it.Source.Status.Origin, StringComparison.Ordinal);

        File.Delete(Path.Combine(folder, "ca.crt"));
        Assert.Contains("ca.crt", Assert.Throws<ApiConnectionException>(() => ApiConnection.InCluster(name => Variable(it, name), folder)).Message, StringComparison.Ordinal);
        Assert.Contains("no pod", Assert.Throws<ApiConnectionException>(() => ApiConnection.InCluster(_ => null)).Message.Replace("not a", "no", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_another_authority_signed_is_not_believed()
    {
        using var others = new ServerCertificates();
        await using SourceFixture it = await PrepareAsync();
        it.Follow(connection: Load(it, Kubeconfig.Text(Address(it), others.AuthorityPem, it.Server.AgentToken)));
        await it.UntilAsync(() => it.Source.Status.LastError.Contains("certificate", StringComparison.OrdinalIgnoreCase));

        Assert.Contains("TLS with 127.0.0.1 failed", it.Source.Status.LastError, StringComparison.Ordinal);
        Assert.Empty(it.Server.Requests); // no token was sent
    }

    [Theory]
    [InlineData("kubernetes.default.svc", true)]
    [InlineData("other.example", false)]
    public async Task The_name_in_the_certificate_is_the_one_that_the_kubeconfig_says(string name, bool isGood)
    {
        await using SourceFixture it = await PrepareAsync();
        string text = Kubeconfig.Text(Address(it), it.Server.AuthorityPem, it.Server.AgentToken)
            .Replace("certificate-authority-data:", $"tls-server-name: {name}\n      certificate-authority-data:", StringComparison.Ordinal);
        it.Follow(connection: Load(it, text));
        await it.UntilAsync(() => isGood ? it.Source.Status.Connected : it.Source.Status.LastError.Contains("TLS", StringComparison.Ordinal));

        Assert.Equal(isGood, it.Server.Requests.Count > 0);
    }

    [Fact]
    public async Task Of_several_servers_the_next_one_is_tried_when_one_fails()
    {
        await using FakeApiServer dead = await FakeApiServer.StartNewAsync();
        await dead.KillAsync();
        await using SourceFixture it = await PrepareAsync();
        it.Server.Put(Service("web"));
        it.Follow(connection: it.Connection() with { Servers = [new Uri($"https://{dead.EndPoint}/"), Address(it)] });
        await it.UntilAsync(() => it.Source.Status.Connected);

        Assert.Equal(it.Server.EndPoint.ToString(), it.Source.Status.Server);
        Assert.NotNull(it.Find("web"));
    }

    [Fact]
    public async Task A_connection_that_goes_dead_without_a_word_is_found_by_pings()
    {
        await using SourceFixture it = await PrepareAsync();
        await using TcpRelay relay = TcpRelay.OnLoopback(it.Server.EndPoint);
        it.Follow(
            Impatient with { Ping = TimeSpan.FromSeconds(1), PingAnswer = TimeSpan.FromSeconds(1), Answer = TimeSpan.FromSeconds(2), Connect = TimeSpan.FromSeconds(2) },
            it.Connection() with { Servers = [new Uri($"https://{relay.EndPoint}/")] });
        await it.UntilAsync(() => it.Source.Status.Connected);

        relay.Stall();
        await it.UntilAsync(() => !it.Source.Status.Connected);
        relay.Cut();
        relay.Resume();
        await it.UntilAsync(() => it.Source.Status.Connected);
    }

    [Fact]
    public async Task Requests_are_counted_by_code_method_and_host()
    {
        using var meter = new Meter("test");
        var seen = new Dictionary<string, long>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter == meter && instrument.Name == "rest_client_requests_total")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            lock (seen)
            {
                string key = string.Join(" ", tags.ToArray().Select(t => $"{t.Key}={t.Value}"));
                seen[key] = seen.GetValueOrDefault(key) + value;
            }
        });
        listener.Start();
        await using FakeApiServer server = await FakeApiServer.StartNewAsync();
        await using SourceFixture it = await PrepareAsync();
        using var client = new ApiClient(it.Connection(), Impatient, new RestClientMetrics(meter));
        (await client.SendAsync(HttpMethod.Get, "api/v1/services", "list services", null, default)).Dispose();
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => client.SendAsync(HttpMethod.Get, "api/v1/nothing", "list nothing", null, default));
        await it.Server.KillAsync();
        await Assert.ThrowsAsync<ApiException>(() => client.SendAsync(HttpMethod.Get, "api/v1/services", "list services", null, default));

        Assert.True(refused.IsNotFound);
        string host = it.Server.EndPoint.ToString();
        Assert.Equal(
            [$"code=200 method=GET host={host}", $"code=404 method=GET host={host}", $"code=<error> method=GET host={host}"], seen.Keys.Order(StringComparer.Ordinal));
    }

    private static Uri Address(SourceFixture it) => new($"https://{it.Server.EndPoint}/");

    private static string? Variable(SourceFixture it, string name) => name switch
    {
        "KUBERNETES_SERVICE_HOST" => it.Server.EndPoint.Address.ToString(),
        "KUBERNETES_SERVICE_PORT" => $"{it.Server.EndPoint.Port}",
        _ => null,
    };

    private static ApiConnection Load(SourceFixture it, string kubeconfig) => ClusterLb.ControlPlane.Kubernetes.Api.Kubeconfig.Load(it.Write("kubeconfig", kubeconfig));

    private static string WithUser(SourceFixture it, string user) =>
        Kubeconfig.Text(Address(it), it.Server.AuthorityPem, "x").Replace("token: \"x\"", user, StringComparison.Ordinal);

    private static void WriteCertificate(SourceFixture it, string name)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        it.Write("client.crt", certificate.ExportCertificatePem());
        it.Write("client.key", key.ExportPkcs8PrivateKeyPem());
    }

    private static IEnumerable<(string Group, string[] Resources, string[] Verbs)> Rules()
    {
        using var text = new StringReader(House.Repository.Read("deploy/kubernetes/rbac.yaml"));
        foreach (System.Text.Json.JsonDocument document in ClusterLb.ControlPlane.Kubernetes.YamlJson.Read(text))
        {
            if (document.RootElement.GetProperty("kind").GetString() != "ClusterRole")
            {
                continue;
            }

            foreach (System.Text.Json.JsonElement rule in document.RootElement.GetProperty("rules").EnumerateArray())
            {
                yield return (Texts(rule, "apiGroups").Single(), Texts(rule, "resources"), Texts(rule, "verbs"));
            }
        }

        static string[] Texts(System.Text.Json.JsonElement rule, string name) => [.. rule.GetProperty(name).EnumerateArray().Select(e => e.GetString()!)];
    }
}
