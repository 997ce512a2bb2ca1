using System.Collections.Immutable;
using System.Globalization;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How to reach an API server, and as whom. TLS is verified always. Immutable.</summary>
public sealed record ApiConnection
{
    /// <summary>Where this is said, for messages: a kubeconfig with its context, or the service account.</summary>
    public required string Origin { get; init; }

    /// <summary>https addresses of the servers, tried in this order; at least one. Numbers need no DNS.</summary>
    public required ImmutableArray<Uri> Servers { get; init; }

    /// <summary>The name that the server's certificate must carry. Null: the host of the address.</summary>
    public string? TlsServerName { get; init; }

    /// <summary>Certificates (PEM) of the authorities that may have signed the server's. Null: those of the system.</summary>
    public CredentialText? Authorities { get; init; }

    /// <summary>The client's certificate (PEM), with those between it and its authority; null without one.</summary>
    public CredentialText? ClientCertificate { get; init; }

    /// <summary>The key (PEM) of <see cref="ClientCertificate"/>.</summary>
    public CredentialText? ClientKey { get; init; }

    /// <summary>Bearer token; null without one.</summary>
    public CredentialText? Token { get; init; }

    /// <summary>As whom the client shows itself, for messages.</summary>
    public string Identity =>
        Token is { } token ? $"the token of {token.Origin}" : ClientCertificate is { } own ? $"the certificate of {own.Origin}" : "no credentials";

    /// <summary>The connection of a pod: addresses by environment, token and authorities by files of the service account.</summary>
    /// <param name="variable">Usually <see cref="Environment.GetEnvironmentVariable(string)"/>.</param>
    /// <param name="folder">Of the service account.</param>
    /// <exception cref="ApiConnectionException">This is no pod, or one without a service account.</exception>
    public static ApiConnection InCluster(Func<string, string?> variable, string folder = ServiceAccountFolder)
    {
        ArgumentNullException.ThrowIfNull(variable);
        string? host = variable(HostVariable);
        if (string.IsNullOrEmpty(host))
        {
            throw new ApiConnectionException($"This is not a pod: {HostVariable} is not set.");
        }

        string port = variable("KUBERNETES_SERVICE_PORT") is { Length: > 0 } given ? given : "443";
        string address = $"https://{(host.Contains(':', StringComparison.Ordinal) && host[0] != '[' ? $"[{host}]" : host)}:{port}";
        if (!TryServer(address, out Uri? server, out string? problem))
        {
            throw new ApiConnectionException($"{HostVariable} and KUBERNETES_SERVICE_PORT make '{address}', which {problem}.");
        }

        CredentialText token = CredentialText.InFile(Path.Combine(folder, "token"));
        CredentialText authorities = CredentialText.InFile(Path.Combine(folder, "ca.crt"));
        token.Read();
        authorities.Read();
        return new ApiConnection { Origin = $"service account ({folder})", Servers = [server], Token = token, Authorities = authorities };
    }

    /// <summary>Set in every pod.</summary>
    public const string HostVariable = "KUBERNETES_SERVICE_HOST";

    /// <summary>Where kubelet puts token and authorities.</summary>
    public const string ServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>Reads the address of a server: https, a host, no user, no query.</summary>
    /// <param name="text">Such as <c>https://10.0.0.1:6443</c>.</param>
    /// <param name="server">The address, ending in a slash.</param>
    /// <param name="problem">What is wrong, to stand behind "which".</param>
    public static bool TryServer(
        string text,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Uri? server,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out string? problem)
    {
        problem = null;
        string address = text.Contains("://", StringComparison.Ordinal) ? text : "https://" + text;
        if (!Uri.TryCreate(address.TrimEnd('/') + "/", UriKind.Absolute, out server) || server.Host.Length == 0)
        {
            problem = "is not an address";
        }
        else if (server.Scheme != Uri.UriSchemeHttps)
        {
            problem = "is not https: ClusterLb speaks to the API server with TLS only";
        }
        else if (server.UserInfo.Length > 0 || server.Query.Length > 0 || server.Fragment.Length > 0)
        {
            problem = "has more than host, port and path";
        }

        server = problem is null ? server : null;
        return problem is null;
    }

    /// <summary>Host and port of an address, as metrics and messages name a server.</summary>
    internal static string NameOf(Uri server) => string.Create(CultureInfo.InvariantCulture, $"{server.Host}:{server.Port}");
}
