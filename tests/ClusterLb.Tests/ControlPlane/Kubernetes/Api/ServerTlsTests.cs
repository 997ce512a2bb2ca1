using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ClusterLb.ControlPlane.Kubernetes.Api;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>Which server is believed with which bundle of authorities: as Go has it, every certificate of the bundle is a root.</summary>
public sealed class ServerTlsTests
{
    private static readonly TestCertificate Root = TestCertificate.Authority("CN=root", null);
    private static readonly TestCertificate Intermediate = TestCertificate.Authority("CN=intermediate", Root);
    private static readonly TestCertificate Impostor = TestCertificate.Authority("CN=intermediate", null); // the same name, another key
    private static readonly TestCertificate Other = TestCertificate.Authority("CN=other", null);
    private static readonly TestCertificate Expired = TestCertificate.Authority("CN=intermediate", Root, expired: true);

    [Theory]
    [InlineData("the root", true, "")]
    [InlineData("the root, and the server does not send the intermediate", false, "PartialChain")]
    [InlineData("the intermediate alone", true, "")]
    [InlineData("the intermediate alone, and the server does not send it", true, "")]
    [InlineData("the intermediate beside others", true, "")]
    [InlineData("the server's own", true, "")]
    [InlineData("another", false, "not believed")]
    [InlineData("an intermediate of the same name with another key", false, "not believed")]
    [InlineData("an intermediate that has expired", false, "not believed")]
    [InlineData("the intermediate, for another name", false, "another name")]
    [InlineData("the intermediate, of a server that has expired", false, "NotTimeValid")]
    [InlineData("the intermediate, of a certificate for clients", false, "NotValidForUsage")]
    public async Task A_chain_must_reach_a_certificate_of_the_bundle(string bundle, bool isGood, string why)
    {
        TestCertificate server = TestCertificate.Server(
            Intermediate, bundle.EndsWith("another name", StringComparison.Ordinal) ? "other.example" : "api.example",
            expired: bundle.EndsWith("server that has expired", StringComparison.Ordinal), isServer: !bundle.EndsWith("clients", StringComparison.Ordinal));
        TestCertificate[] given = bundle switch
        {
            "the root" or "the root, and the server does not send the intermediate" => [Root],
            "the intermediate beside others" => [Other, Intermediate],
            "the server's own" => [server],
            "another" => [Other],
            "an intermediate of the same name with another key" => [Impostor],
            "an intermediate that has expired" => [Expired],
            _ => [Intermediate],
        };
        bool sends = !bundle.Contains("does not send", StringComparison.Ordinal) && given is not [{ IsStandIn: true }];

        string? refusal = await DialAsync(server, sends ? [Intermediate.Certificate] : [], string.Concat(given.Select(c => c.Certificate.ExportCertificatePem() + "\n")));

        Assert.Equal(isGood, refusal is null);
        Assert.Contains(why, refusal ?? "", StringComparison.Ordinal);
    }

    /// <returns>Why the server was refused; null if it was not.</returns>
    private static async Task<string?> DialAsync(TestCertificate server, X509Certificate2Collection sent, string authorities)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using TcpClient accepted = await listener.AcceptTcpClientAsync();
        await using var tls = new SslStream(accepted.GetStream());
        Task serving = tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(server.Certificate, sent, offline: true),
        });
        var connection = new ApiConnection
        {
            Origin = "a test",
            Servers = [new Uri("https://api.example/")],
            Authorities = CredentialText.Given(authorities, "a test"),
        };
        try
        {
            await using SslStream stream = await ServerTls.AuthenticateAsync(client.GetStream(), connection, "api.example", CancellationToken.None);
            await serving;
            return null;
        }
        catch (ApiException e)
        {
            client.Close();
            await Record.ExceptionAsync(() => serving);
            return e.Message;
        }
    }

    // A stand-in has the name of the intermediate, so the server must not send the right one beside it.
    private sealed record TestCertificate(X509Certificate2 Certificate, bool IsStandIn)
    {
        private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

        public static TestCertificate Authority(string name, TestCertificate? issuer, bool expired = false)
        {
            TestCertificate authority = Issue(name, issuer, expired, request =>
            {
                request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
                request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
            });
            return authority with { IsStandIn = name == "CN=intermediate" && (issuer is null || expired) };
        }

        public static TestCertificate Server(TestCertificate issuer, string host, bool expired, bool isServer) => Issue("CN=server", issuer, expired, request =>
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(host);
            request.CertificateExtensions.Add(names.Build());
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(isServer ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], critical: false));
        });

        private static TestCertificate Issue(string name, TestCertificate? issuer, bool expired, Action<CertificateRequest> extend)
        {
            ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
            extend(request);
            DateTimeOffset from = Now.AddHours(-2);
            DateTimeOffset to = expired ? Now.AddHours(-1) : Now.AddHours(2);
            if (issuer is null)
            {
                return new TestCertificate(request.CreateSelfSigned(from, to), false);
            }

            using X509Certificate2 signed = request.Create(
                issuer.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(issuer.Certificate.GetECDsaPrivateKey()!), from, to, RandomNumberGenerator.GetBytes(8));
            return new TestCertificate(signed.CopyWithPrivateKey(key), false);
        }
    }
}
