using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>A certificate authority of one test run, and an API server's certificate by it.</summary>
public sealed class ServerCertificates : IDisposable
{
    private readonly X509Certificate2 _authority;
    private readonly X509Certificate2 _server;

    /// <summary>Makes both, valid from an hour ago for a day.</summary>
    /// <param name="addresses">Where clients will dial the server, besides loopback.</param>
    public ServerCertificates(params IReadOnlyList<IPAddress> addresses)
    {
        DateTimeOffset from = DateTimeOffset.UtcNow.AddHours(-1);
        using ECDsa authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authority = new CertificateRequest($"CN=test-authority-{Guid.NewGuid():N}", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        authority.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _authority = authority.CreateSelfSigned(from, from.AddDays(1));

        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kube-apiserver", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddDnsName("kubernetes.default.svc");
        foreach (IPAddress address in (IEnumerable<IPAddress>)[IPAddress.Loopback, IPAddress.IPv6Loopback, .. addresses])
        {
            names.AddIpAddress(address);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false)); // serverAuth
        using X509Certificate2 signed = request.Create(_authority, from, from.AddDays(1), RandomNumberGenerator.GetBytes(8));
        _server = signed.CopyWithPrivateKey(key);
    }

    /// <summary>What clients must trust, as PEM.</summary>
    public string AuthorityPem => _authority.ExportCertificatePem();

    /// <summary>The server's certificate, as PEM.</summary>
    public string ServerPem => _server.ExportCertificatePem();

    /// <summary>The server's private key, as PEM (PKCS #8).</summary>
    public string ServerKeyPem
    {
        get
        {
            using ECDsa key = _server.GetECDsaPrivateKey()!;
            return key.ExportPkcs8PrivateKeyPem();
        }
    }

    public void Dispose()
    {
        _authority.Dispose();
        _server.Dispose();
    }
}
