namespace ClusterLb.Testing.Kubernetes;

/// <summary>A request that <see cref="FakeApiServer"/> saw.</summary>
/// <param name="Verb">As in RBAC: list, watch, create, patch, …</param>
/// <param name="Group">API group.</param>
/// <param name="Plural">Resource.</param>
/// <param name="Query">With its question mark.</param>
/// <param name="Token">Bearer token, or empty.</param>
/// <param name="ClientCertificate">Subject of the client's certificate, or empty.</param>
/// <param name="Protocol">HTTP/2 or HTTP/1.1.</param>
/// <param name="UserAgent">How the client names itself.</param>
/// <param name="AcceptsGzip">It may be answered compressed.</param>
/// <param name="Status">How it was answered.</param>
public sealed record FakeRequest(
    string Verb, string Group, string Plural, string Query, string Token, string ClientCertificate, string Protocol, string UserAgent, bool AcceptsGzip, int Status);
