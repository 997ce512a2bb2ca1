using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Believes a server whose chain reaches a certificate that was given, self-signed or not, as client-go does.</summary>
/// <remarks>
/// .NET ends a chain at self-signed certificates alone, so a bundle that holds only an intermediate authority would be refused; to Go
/// every certificate of the bundle is a root (crypto/x509, VerifyOptions.Roots). Signatures, times and uses below it count as ever.
/// </remarks>
internal sealed class AuthorityCheck(X509Certificate2Collection authorities)
{
    /// <summary>How the chain is built: from these, and not from the system's.</summary>
    public X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck, // cluster authorities publish no lists
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }

    /// <summary>As <see cref="RemoteCertificateValidationCallback"/>: false if the server showed no certificate.</summary>
    /// <exception cref="AuthenticationException">The certificate is not good; said why.</exception>
    public bool Accepts(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null || chain is null)
        {
            return errors == SslPolicyErrors.None;
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            throw new AuthenticationException("the server's certificate is for another name.");
        }

        if (errors != SslPolicyErrors.None && !ReachesAuthority(chain))
        {
            IEnumerable<string> problems = chain.ChainStatus.Select(status => $"{status.Status}: {status.StatusInformation.Trim()}").Distinct(StringComparer.Ordinal);
            throw new AuthenticationException($"the server's certificate is not believed ({string.Join("; ", problems)}).");
        }

        return true;
    }

    /// <summary>Nothing is wrong up to a given certificate but that the chain does not end there.</summary>
    private bool ReachesAuthority(X509Chain chain)
    {
        foreach (X509ChainElement element in chain.ChainElements)
        {
            if (element.ChainElementStatus.Any(status => status.Status is not (X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.NoError)))
            {
                return false;
            }

            if (authorities.Contains(element.Certificate))
            {
                return true;
            }
        }

        return false;
    }
}
