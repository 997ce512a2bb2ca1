using System.Collections.Immutable;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Model;

/// <summary>A part of a service's backends of one family, all with the same ports: what an EndpointSlice says. Immutable.</summary>
public sealed record BackendSlice
{
    /// <summary>Namespace and name of the slice.</summary>
    public required ObjectName Name { get; init; }

    /// <summary>Whom the backends serve.</summary>
    public required ObjectName Service { get; init; }

    /// <summary>The family of all addresses.</summary>
    public required bool IsIpv4 { get; init; }

    /// <summary>The ports that every backend of the slice listens on.</summary>
    public ImmutableArray<BackendPort> Ports { get; init; } = [];

    /// <summary>The addresses, in the order of the slice.</summary>
    public ImmutableArray<Backend> Backends { get; init; } = [];

    /// <summary>When the change to this state happened. Not compared.</summary>
    public ChangeTimes Times { get; init; }

    /// <summary>Compares contents: an update that changes no field we read is no change.</summary>
    public bool Equals(BackendSlice? other) =>
        other is not null && Name == other.Name && Service == other.Service && IsIpv4 == other.IsIpv4
        && Ports.AsSpan().SequenceEqual(other.Ports.AsSpan()) && Backends.AsSpan().SequenceEqual(other.Backends.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => Name.GetHashCode();
}

/// <summary>A port of a slice: belongs to the service port of the same name and protocol (R5).</summary>
/// <param name="Name">Empty for the only, unnamed port.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="Port">What backends listen on, host order.</param>
public readonly record struct BackendPort(string Name, IpProtocol Protocol, ushort Port);
