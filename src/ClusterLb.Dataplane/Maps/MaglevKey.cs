using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Whose Maglev table: a service port has one for each set of backends that its frontends choose from.</summary>
/// <param name="ServicePortId">Shared by all frontends of the service port in a family.</param>
/// <param name="Set">Which of its sets.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
public readonly record struct MaglevKey(uint ServicePortId, BackendSetKind Set)
{
    /// <summary>The table for a frontend's slots in one scope.</summary>
    /// <param name="head">Slot 0 of the frontend.</param>
    /// <param name="scope">Of the slots.</param>
    public static MaglevKey Of(in ServiceEntry head, LookupScope scope)
    {
        const ServiceFlags External = ServiceFlags.ExternalIp | ServiceFlags.NodePort | ServiceFlags.LoadBalancer;
        bool isLocal = (head.Flags & External) != ServiceFlags.None
            ? (head.Flags & ServiceFlags.ExternalLocalScope) != ServiceFlags.None && scope is LookupScope.External or LookupScope.ExternalCanary
            : (head.Flags & ServiceFlags.InternalLocalScope) != ServiceFlags.None;
        bool isCanary = scope is LookupScope.ExternalCanary or LookupScope.InternalCanary;
        return new MaglevKey(
            head.ServicePortId, (isLocal ? BackendSetKind.Local : BackendSetKind.Cluster) | (isCanary ? BackendSetKind.Canary : BackendSetKind.Cluster));
    }
}

/// <summary>Which backends of a service port: all of the cluster that may be used, or those of this node; and whose.</summary>
[Flags]
public enum BackendSetKind : uint
{
    /// <summary>Of every node (policy Cluster).</summary>
    Cluster = 0,

    /// <summary>Of this node (policy Local).</summary>
    Local = 1,

    /// <summary>Of the service that gets a share of the connections, not of the service itself.</summary>
    Canary = 2,
}
