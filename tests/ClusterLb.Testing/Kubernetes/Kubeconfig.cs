using System.Text;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>Writes kubeconfig files.</summary>
public static class Kubeconfig
{
    /// <summary>A kubeconfig with everything in it.</summary>
    public static string Text(Uri server, string authorityPem, string token) => Of(server, authorityPem, $"token: \"{token}\"");

    /// <summary>A kubeconfig that names a file with the token, which may be replaced while it is used.</summary>
    public static string WithTokenFile(Uri server, string authorityPem, string tokenFile) => Of(server, authorityPem, $"tokenFile: \"{tokenFile}\"");

    private static string Of(Uri server, string authorityPem, string user) =>
        $$"""
        apiVersion: v1
        kind: Config
        clusters:
          - name: test
            cluster:
              server: "{{server.GetLeftPart(UriPartial.Authority)}}"
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
