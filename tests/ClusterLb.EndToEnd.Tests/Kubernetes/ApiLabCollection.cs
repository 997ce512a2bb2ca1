namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>Tests of traffic by the objects of an API server.</summary>
[CollectionDefinition(Name)]
public sealed class ApiLabCollection : ICollectionFixture<ApiLabFixture>
{
    public const string Name = "lab that follows an API server";
}
