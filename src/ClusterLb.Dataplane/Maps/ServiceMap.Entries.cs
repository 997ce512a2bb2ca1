using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Which set of backends a frontend's slots list. A frontend has the internal scope only if it has
/// <see cref="ServiceFlags.TwoScopes"/>: then sources inside of the cluster use it (semantics R20).</summary>
public enum LookupScope : byte
{
    /// <summary>Everyone, or with two scopes: everyone outside of the cluster.</summary>
    External = 0,

    /// <summary>With two scopes: pods of any node and this node itself.</summary>
    Internal = 1,

    /// <summary>With <see cref="ServiceFlags.Split"/>: backends of the other service, beside those of <see cref="External"/>.</summary>
    ExternalCanary = 2,

    /// <summary>With <see cref="ServiceFlags.Split"/>: backends of the other service, beside those of <see cref="Internal"/>.</summary>
    InternalCanary = 3,
}

/// <summary>The scopes of a frontend and those of its canary, side by side.</summary>
public static class LookupScopes
{
    /// <summary>Where the slots of the other service lie.</summary>
    public static LookupScope Canary(this LookupScope scope) => scope | LookupScope.ExternalCanary;

    /// <summary>True for slots of the other service.</summary>
    public static bool IsCanary(this LookupScope scope) => (scope & LookupScope.ExternalCanary) != LookupScope.External;
}

/// <summary>What a frontend is and how it is served. The first sixteen bits carry Cilium's numbers.</summary>
[Flags]
public enum ServiceFlags : uint
{
    /// <summary>A plain ClusterIP.</summary>
    None = 0,

    /// <summary>The frontend is one of spec.externalIPs.</summary>
    ExternalIp = 1,

    /// <summary>The frontend is a node port.</summary>
    NodePort = 2,

    /// <summary>externalTrafficPolicy Local.</summary>
    ExternalLocalScope = 4,

    /// <summary>Not used yet.</summary>
    HostPort = 8,

    /// <summary>sessionAffinity ClientIP.</summary>
    Affinity = 16,

    /// <summary>The frontend is an address of status.loadBalancer.</summary>
    LoadBalancer = 32,

    /// <summary>Reachable from outside of the cluster.</summary>
    Routable = 64,

    /// <summary>Only sources of the source range map may use it.</summary>
    SourceRange = 128,

    /// <summary>internalTrafficPolicy Local.</summary>
    InternalLocalScope = 1 << 12,

    /// <summary>Slots exist in both scopes.</summary>
    TwoScopes = 1 << 13,

    /// <summary>A share of the new flows (<see cref="ServiceEntry.SharePercent"/>) goes to the slots of the canary scope.</summary>
    Split = 1 << 18,

    /// <summary>A usable endpoint exists somewhere in the cluster: no slots then means drop, not reject (semantics R15, R16).</summary>
    EndpointsExist = 1 << 16,

    /// <summary>Not a frontend: marks the address of an active ClusterIP at port 0, protocol ANY, so that an unowned
    /// port of it is rejected (semantics R18). With <see cref="LoadBalancer"/>, a load balancer's address that answers pings; with
    /// <see cref="SourceRange"/> those of the service port's sources alone.</summary>
    ActiveAddress = 1 << 17,

    /// <summary><see cref="BackendGonePolicy.Reset"/>.</summary>
    ResetIfGone = 1 << 19,

    /// <summary><see cref="BackendGonePolicy.Keep"/>.</summary>
    KeepIfGone = 1 << 20,
}

/// <summary>How a new flow gets its backend; the high byte of slot 0's first word. Cilium's numbers where it has one.</summary>
public enum SelectionAlgorithm : byte
{
    /// <summary>As <see cref="Random"/>.</summary>
    Default = 0,

    /// <summary>Every slot alike.</summary>
    Random = 1,

    /// <summary>NSDI 2016, section 3.4: by the hash of the tuple, the same backend on every node.</summary>
    Maglev = 2,

    // 3 is Cilium's "first".

    /// <summary>Slot after slot.</summary>
    RoundRobin = 4,

    /// <summary>The backend with the fewest flows of this node.</summary>
    LeastConnections = 5,

    /// <summary>The Maglev table by the client's address.</summary>
    SourceHash = 6,

    /// <summary>The Maglev table by what the client dials.</summary>
    DestinationHash = 7,

    /// <summary>(flows + 1) / weight; every endpoint has the weight 1, so it orders as least connections does.</summary>
    ShortestExpectedDelay = 8,
}

/// <summary>What algorithms have in common.</summary>
public static class SelectionAlgorithms
{
    /// <summary>True if it needs a Maglev table.</summary>
    public static bool IsHash(this SelectionAlgorithm algorithm) =>
        algorithm is SelectionAlgorithm.Maglev or SelectionAlgorithm.SourceHash or SelectionAlgorithm.DestinationHash;

    /// <summary>True if it compares the flows that backends have.</summary>
    public static bool CountsFlows(this SelectionAlgorithm algorithm) =>
        algorithm is SelectionAlgorithm.LeastConnections or SelectionAlgorithm.ShortestExpectedDelay;
}

/// <summary>Key of the service map: one entry per frontend (slot 0) and per backend of it (slots 1 to count).</summary>
/// <param name="Address">The address that a client dials.</param>
/// <param name="Port">Host order.</param>
/// <param name="Protocol">TCP, UDP or SCTP; ANY only with <see cref="ServiceFlags.ActiveAddress"/>.</param>
/// <param name="Scope">Which set of backends.</param>
/// <param name="Slot">0 is the frontend itself.</param>
public readonly record struct ServiceKey(IpAddr Address, ushort Port, IpProtocol Protocol, LookupScope Scope, uint Slot);

/// <summary>Value of the service map, the same bytes for IPv4 and IPv6: 24 bytes, little endian, as it lies in the file.</summary>
/// <remarks>Mirrors Cilium's lb4_service with 32-bit ids (docs/maps.md).</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 24)]
public struct ServiceEntry : IEquatable<ServiceEntry>
{
    /// <summary>Slot n: the backend's id. Slot 0: affinity timeout in seconds (low 24 bits) and <see cref="SelectionAlgorithm"/> (high 8 bits).</summary>
    public uint BackendId;

    /// <summary>Slot 0: how many slots follow in this scope. Slot n: 0.</summary>
    public uint Count;

    /// <summary>The frontend's id: key of the reverse NAT map.</summary>
    public uint RevNatId;

    /// <summary>The service port's id, shared by all its frontends of a family: key of affinity, Maglev, source ranges, serving.</summary>
    public uint ServicePortId;

    /// <summary>Slot 0 only.</summary>
    public ServiceFlags Flags;

    /// <summary>Slot 0 with <see cref="ServiceFlags.Split"/>: percent of the new flows for the canary scope. Else zero.</summary>
    public uint SharePercent;

    /// <summary>Slot 0: how long a client stays with its backend; 0 without affinity.</summary>
    public readonly uint AffinityTimeoutSeconds => BackendId & 0x00FF_FFFF;

    /// <summary>Slot 0: how a new flow gets its backend.</summary>
    public readonly SelectionAlgorithm Algorithm => (SelectionAlgorithm)(BackendId >> 24);

    /// <summary>Slot 0's first word.</summary>
    public static uint PackAffinity(uint timeoutSeconds, SelectionAlgorithm algorithm) =>
        (timeoutSeconds & 0x00FF_FFFF) | ((uint)algorithm << 24);

    /// <inheritdoc/>
    public readonly bool Equals(ServiceEntry other) =>
        BackendId == other.BackendId && Count == other.Count && RevNatId == other.RevNatId
        && ServicePortId == other.ServicePortId && Flags == other.Flags && SharePercent == other.SharePercent;

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is ServiceEntry other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => HashCode.Combine(BackendId, Count, RevNatId, ServicePortId, Flags, SharePercent);
}
