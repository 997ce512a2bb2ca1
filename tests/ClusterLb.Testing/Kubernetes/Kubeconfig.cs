using System.Text;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>Writes kubeconfig files.</summary>
public static class Kubeconfig
{
    /// <summary>A kubeconfig with everything in it.</summary>
    /// <param name="server">https://address:port.</param>
    /// <param name="authorityPem">What the server's certificate is verified by.</param>
    /// <param name="token">The user's.</param>
    /// <param name="serverName">A name of the certificate to verify instead of the address, where a relay leads to the server.</param>
    public static string Text(Uri server, string authorityPem, string token, string? serverName = null) =>
        Of(server, authorityPem, $"token: \"{token}\"", serverName);

    /// <summary>A kubeconfig that names a file with the token, which may be replaced while it is used.</summary>
    public static string WithTokenFile(Uri server, string authorityPem, string tokenFile) =>
        Of(server, authorityPem, $"tokenFile: \"{tokenFile}\"", null);

    private static string Of(Uri server, string authorityPem, string user, string? serverName) =>
        $$"""
        apiVersion: v1
        kind: Config
        clusters:
          - name: test
            cluster:
              server: "{{server.GetLeftPart(UriPartial.Authority)}}"
              {{(serverName is null ? "" : $"tls-server-name: {serverName}")}}
              certificate-authority-data: {{Convert.ToBase64String(Encoding.ASCII.GetBytes(authorityPem))}}
        users:
          - name: test
            user: { {{user}} }
        contexts:
          - name: test
            context: {cluster: test, user: test}
        current-context: test

        """;
}
