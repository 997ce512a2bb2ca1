namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A test that switches br_netfilter: skipped, with the reason, where the kernel has none to switch.</summary>
public sealed class BridgeNetfilterFactAttribute : FactAttribute
{
    public BridgeNetfilterFactAttribute() =>
        Skip = LabNeeds.Reason ?? (HasIt ? null : "The kernel does not have br_netfilter, or it is not loaded (modprobe br_netfilter).");

    /// <summary>True if the module is loaded, or built in.</summary>
    public static bool HasIt => Directory.Exists("/proc/sys/net/bridge");
}
