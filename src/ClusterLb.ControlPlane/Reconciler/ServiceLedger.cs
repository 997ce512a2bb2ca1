using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What the maps hold of one service, as far as it cannot be read from them by key. Kept small: there is one per service.</summary>
internal sealed record ServiceLedger(ServicePortLedger[] Ports, FrontendKey[] Claims)
{
    public static ServiceLedger Empty { get; } = new([], []);
}

/// <summary>What the maps hold of one service port.</summary>
internal sealed class ServicePortLedger(ServicePortKey key, uint id)
{
    public ServicePortKey Key { get; } = key;

    public uint Id { get; } = id;

    /// <summary>Backends with an entry in the serving map.</summary>
    public ServingBackend[] Serving { get; set; } = [];

    /// <summary>Blocks with an entry in the source range map.</summary>
    public IpPrefix[] SourceRanges { get; set; } = [];

    /// <summary>Maglev tables that are written.</summary>
    public MaglevTableLedger[] Tables { get; set; } = [];

    /// <summary>Frontends with a slot 0 that this port wrote.</summary>
    public FrontendKey[] Frontends { get; set; } = [];
}

/// <summary>A Maglev table, and a fingerprint of the backends that it was built of.</summary>
internal readonly record struct MaglevTableLedger(MaglevKey Key, ulong Fingerprint);

/// <summary>A backend that a service port holds.</summary>
internal readonly record struct ServingBackend(uint Id, BackendState State);
