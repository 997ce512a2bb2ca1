namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>A test with control groups: skipped, with the reason, where none can be made.</summary>
public sealed class ContainerFactAttribute : FactAttribute
{
    public ContainerFactAttribute() => Skip = Container.Reason;
}
