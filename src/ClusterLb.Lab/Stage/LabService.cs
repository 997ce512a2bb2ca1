using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>A service of the lab, dual stack, in Kubernetes' namespace "default".</summary>
/// <param name="Name">Name of the Service object.</param>
/// <param name="Index">From 1; the last part of its addresses.</param>
/// <param name="Ports">At least one.</param>
/// <param name="Backends">Its endpoints; may be empty.</param>
public sealed record LabService(
    string Name, int Index, IReadOnlyList<LabServicePort> Ports, IReadOnlyList<LabPod> Backends)
{
    /// <summary>Its IPv4 ClusterIP.</summary>
    public IpAddr Ipv4 => IpAddr.Parse($"10.96.0.{Index}");

    /// <summary>Its IPv6 ClusterIP.</summary>
    public IpAddr Ipv6 => IpAddr.Parse($"fd10:96::{Index:x}");

    /// <summary>Endpoints that are listed as not ready.</summary>
    public IReadOnlyList<LabPod> NotReady { get; init; } = [];

    /// <summary>Endpoints that are listed as terminating, and serve.</summary>
    public IReadOnlyList<LabPod> Terminating { get; init; } = [];

    /// <summary>At most, in each EndpointSlice: by default two, so that "web" has several slices, as large services do.</summary>
    public int EndpointsPerSlice { get; init; } = 2;

    /// <summary>How long a client stays with its backend (sessionAffinity ClientIP); 0: no session affinity.</summary>
    public int AffinitySeconds { get; init; }

    /// <summary>internalTrafficPolicy is Local.</summary>
    public bool IsInternalLocal { get; init; }

    /// <summary>Of the Service object, by name.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    /// <summary>How it is reached from outside; null: by its ClusterIP only.</summary>
    public LabExposure? Exposure { get; init; }

    /// <summary>The ClusterIP of a family.</summary>
    public IpAddr ClusterIp(bool ipv6) => ipv6 ? Ipv6 : Ipv4;
}
