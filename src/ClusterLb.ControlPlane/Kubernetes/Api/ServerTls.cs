using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>The TLS of one connection. Files are read for each connection, so certificates may rotate.</summary>
internal static class ServerTls
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <summary>Shakes hands, and verifies chain and name of the server.</summary>
    /// <exception cref="ApiException">The server is not who it should be, or does not accept us; said why.</exception>
    public static async Task<SslStream> AuthenticateAsync(Stream transport, ApiConnection connection, string host, CancellationToken cancellation)
    {
        var tls = new SslStream(transport);
        try
        {
            await tls.AuthenticateAsClientAsync(Options(connection, host), cancellation);
            return tls;
        }
        catch (Exception e)
        {
            await tls.DisposeAsync();
            if (e is AuthenticationException or CryptographicException or ApiConnectionException)
            {
                throw new ApiException($"TLS with {host} failed: {Reason(e)}", e);
            }

            throw;
        }
    }

    /// <summary>Certificates of a PEM text.</summary>
    /// <exception cref="ApiConnectionException">There is none, or one is malformed.</exception>
    public static X509Certificate2Collection Certificates(CredentialText text)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(text.Read());
        }
        catch (CryptographicException e)
        {
            throw new ApiConnectionException($"The certificates of {text.Origin} cannot be read: {e.Message}", e);
        }

        return certificates.Count > 0 ? certificates : throw new ApiConnectionException($"There is no certificate (PEM) in {text.Origin}.");
    }

    private static SslClientAuthenticationOptions Options(ApiConnection connection, string host)
    {
        AuthorityCheck? check = connection.Authorities is { } authorities ? new AuthorityCheck(Certificates(authorities)) : null;
        return new SslClientAuthenticationOptions
        {
            TargetHost = connection.TlsServerName ?? host,
            ApplicationProtocols = Protocols,
            CertificateChainPolicy = check?.Policy(), // null: the system's
            RemoteCertificateValidationCallback = check is null ? null : check.Accepts,
            ClientCertificateContext = connection is { ClientCertificate: { } own, ClientKey: { } key } ? ClientCertificate(own, key) : null,
        };
    }

    private static SslStreamCertificateContext ClientCertificate(CredentialText own, CredentialText key)
    {
        try
        {
            X509Certificate2 certificate = X509Certificate2.CreateFromPem(own.Read(), key.Read());
            return SslStreamCertificateContext.Create(certificate, Certificates(own), offline: true);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new ApiConnectionException($"The certificate of {own.Origin} and the key of {key.Origin} cannot be used: {e.Message}", e);
        }
    }

    private static string Reason(Exception e) => e.InnerException is { } inner and not CryptographicException ? $"{e.Message} {inner.Message}" : e.Message;
}
