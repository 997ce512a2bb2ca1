namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>A test that needs root, network namespaces and TUN devices; skipped, with the reason, where they are missing.</summary>
public sealed class NamespaceFactAttribute : FactAttribute
{
    public NamespaceFactAttribute()
    {
        string missing = string.Join(" ", ClusterLb.Lab.Stage.Tool.Missing());
        Skip = missing.Length == 0 ? null : missing;
    }
}
