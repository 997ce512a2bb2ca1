namespace ClusterLb.Dataplane.Maps;

/// <summary>All load-balancing maps: the whole contract between the control plane, which writes them, and everyone who reads.</summary>
public abstract class LbMaps : IDisposable
{
    /// <summary>Frontends and their slots.</summary>
    public abstract ILbMap<ServiceKey, ServiceEntry> Services { get; }

    /// <summary>Backends by id.</summary>
    public abstract ILbMap<uint, BackendEntry> Backends { get; }

    /// <summary>Frontends by id.</summary>
    public abstract ILbMap<uint, ReverseNatEntry> ReverseNat { get; }

    /// <summary>Who still serves, terminating ones included. The value is unused.</summary>
    public abstract ILbMap<ServingKey, byte> Serving { get; }

    /// <summary>Who is eligible, for frontends with affinity. The value is unused.</summary>
    public abstract ILbMap<EligibleKey, byte> Eligible { get; }

    /// <summary>Tables for services that choose by a hash.</summary>
    public abstract IMaglevMap Maglev { get; }

    /// <summary>Service ports and their revisions.</summary>
    public abstract ILbMap<uint, ServicePortEntry> ServicePorts { get; }

    /// <summary>Service ports by name, <c>namespace/name:port</c>: for people only, the pipeline never reads it.</summary>
    public abstract ILbMap<uint, string> ServiceNames { get; }

    /// <summary>Who may use frontends with <see cref="ServiceFlags.SourceRange"/>. The value is unused.</summary>
    public abstract ILbMap<SourceRangeKey, byte> SourceRanges { get; }

    /// <summary>Service ranges, pod ranges, node addresses.</summary>
    public abstract ILbMap<IpPrefix, NetworkFlags> Networks { get; }

    /// <summary>One entry, key 0.</summary>
    public abstract ILbMap<uint, NodeEntry> Node { get; }

    /// <summary>A number that rises after a backend has left a service port, when all maps say so: who remembers where flows go has to
    /// look again.</summary>
    public abstract ulong Departures { get; }

    /// <summary>Raises <see cref="Departures"/>. Only the one writer may call it.</summary>
    public abstract void CountDeparture();

    /// <summary>The union of all blocks that contain the address. Never waits, allocates nothing.</summary>
    public abstract NetworkFlags Classify(IpAddr address);

    /// <summary>True if a block of the source range map lets the address use the service port. Never waits, allocates nothing.</summary>
    public abstract bool IsSourceAllowed(uint servicePortId, IpAddr source);

    /// <inheritdoc/>
    public abstract void Dispose();
}
