using ClusterLb.ControlPlane.Kubernetes.Api;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>What a kubeconfig may say, and what is refused and why.</summary>
public sealed class KubeconfigTests
{
    private const string Good = """
        apiVersion: v1
        kind: Config
        current-context: prod
        contexts:
          - {name: other, context: {cluster: nowhere, user: nobody}}
          - {name: prod, context: {cluster: c1, user: u1}}
        clusters:
          - {name: c1, cluster: {server: "https://10.0.0.1:6443/base", tls-server-name: api.example}}
        users:
          - {name: u1, user: {token: secret}}
        """;

    public static TheoryData<string, string, string> Refused => new()
    {
        { "token: secret", "exec: {command: aws, apiVersion: client.authentication.k8s.io/v1}", "user 'u1' has exec" },
        { "token: secret", "auth-provider: {name: gcp}", "auth-provider" },
        { "token: secret", "username: a, password: b", "username and password" },
        { "token: secret", "token: secret, as: admin", "impersonates nobody" },
        { "token: secret", "client-certificate-data: bm8=", "only one of" },
        { "token: secret", "client-key-data: '%%%', client-certificate-data: bm8=", "client-key-data of user 'u1' is not base64" },
        { "token: secret", "tokenFile: /nonexistent/token", "/nonexistent/token" },
        { "tls-server-name: api.example", "insecure-skip-tls-verify: true", "TLS is verified always" },
        { "tls-server-name: api.example", "proxy-url: 'http://proxy'", "proxies are not supported" },
        { "tls-server-name: api.example", "certificate-authority: missing.crt", "missing.crt" },
        { "https://10.0.0.1:6443/base", "http://10.0.0.1:8080", "is not https" },
        { "current-context: prod", "current-context: gone", "contexts has none of this name" },
        { "current-context: prod", "", "current-context is not set" },
        { "cluster: c1", "cluster: c2", "clusters has none of this name" },
        { "user: u1", "user: u2", "users has none of this name" },
    };

    [Fact]
    public void The_current_context_counts()
    {
        ApiConnection connection = Kubeconfig.Parse(Good, "/etc/k/config");

        Assert.Equal("https://10.0.0.1:6443/base/", Assert.Single(connection.Servers).ToString());
        Assert.Equal("api.example", connection.TlsServerName);
        Assert.Equal("secret", connection.Token!.Read());
        Assert.Null(connection.Authorities);
        Assert.Equal("kubeconfig /etc/k/config, context prod", connection.Origin);
        Assert.DoesNotContain("secret", connection.Identity, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Refused))]
    public void What_cannot_be_done_is_refused_by_name(string instead, string of, string why)
    {
        ApiConnectionException refusal = Assert.Throws<ApiConnectionException>(
            () => Kubeconfig.Parse(Good.Replace(instead, of, StringComparison.Ordinal), "/etc/k/config"));

        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("/etc/k/config", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_problems_are_named_at_once()
    {
        string text = Good.Replace("token: secret", "exec: {command: x}", StringComparison.Ordinal).Replace("https://", "http://", StringComparison.Ordinal);

        string message = Assert.Throws<ApiConnectionException>(() => Kubeconfig.Parse(text, "/k")).Message;

        Assert.Contains("has exec", message, StringComparison.Ordinal);
        Assert.Contains("is not https", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("- [", "is not YAML")]
    [InlineData("just text", "current-context is not set")]
    public void What_is_no_kubeconfig_is_said(string text, string why) =>
        Assert.Contains(why, Assert.Throws<ApiConnectionException>(() => Kubeconfig.Parse(text, "/k")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_file_that_is_not_there_is_named() =>
        Assert.Contains("/nonexistent/config", Assert.Throws<ApiConnectionException>(() => Kubeconfig.Load("/nonexistent/config")).Message, StringComparison.Ordinal);
}
