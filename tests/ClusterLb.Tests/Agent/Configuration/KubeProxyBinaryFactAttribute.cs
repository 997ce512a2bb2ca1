namespace ClusterLb.Tests.Agent.Configuration;

/// <summary>A test against the real kube-proxy, which lies where KUBEBUILDER_ASSETS says (envtest's convention).</summary>
public sealed class KubeProxyBinaryFactAttribute : FactAttribute
{
    public KubeProxyBinaryFactAttribute()
    {
        if (Program is null)
        {
            Skip = "KUBEBUILDER_ASSETS names no folder with kube-proxy.";
        }
    }

    /// <summary>The program; null if there is none.</summary>
    internal static string? Program { get; } = Find();

    private static string? Find()
    {
        string? folder = Environment.GetEnvironmentVariable("KUBEBUILDER_ASSETS");
        string program = Path.Combine(folder ?? "", "kube-proxy");
        return folder is { Length: > 0 } && File.Exists(program) ? program : null;
    }
}
