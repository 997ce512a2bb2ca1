namespace ClusterLb.Tests.Testing;

/// <summary>Tests that run alone, after all others: the runtime's count of a thread's allocations is exact only where no collection that
/// others cause comes between.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class UndisturbedCollection
{
    public const string Name = "Undisturbed";
}
