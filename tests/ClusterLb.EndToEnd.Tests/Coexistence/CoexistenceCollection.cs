namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Tests that change what else is on a node, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class CoexistenceCollection : ICollectionFixture<CoexistenceLabFixture>
{
    public const string Name = "lab with others on the node";
}
