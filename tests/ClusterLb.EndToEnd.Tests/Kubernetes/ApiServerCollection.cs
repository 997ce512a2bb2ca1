namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>Tests that share an API server: each uses names and addresses of its own.</summary>
[CollectionDefinition(Name)]
public sealed class ApiServerCollection : ICollectionFixture<ApiServerFixture>
{
    public const string Name = "API server";
}
