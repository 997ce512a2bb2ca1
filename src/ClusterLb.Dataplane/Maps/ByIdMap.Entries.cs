namespace ClusterLb.Dataplane.Maps;

/// <summary>An entry of a <see cref="ByIdMap{TEntry}"/>: where packets of a flow go, or came to.</summary>
public interface ITransportEntry<TSelf>
    where TSelf : struct
{
    /// <summary>Says in which family's file the entry lies.</summary>
    IpAddr Address { get; }

    /// <summary>Host order.</summary>
    ushort Port { get; }

    /// <summary>TCP, UDP or SCTP.</summary>
    IpProtocol Protocol { get; }

    /// <summary>What the entry knows beyond its address; 0 if nothing.</summary>
    byte StateByte { get; }

    /// <summary>The entry with these parts.</summary>
    static abstract TSelf Of(IpAddr address, ushort port, IpProtocol protocol, byte state);
}

/// <summary>What a backend may still be used for. Which backends are eligible is slot membership, not this.</summary>
public enum BackendState : byte
{
    /// <summary>Ready.</summary>
    Active = 0,

    /// <summary>Serving, but about to go.</summary>
    Terminating = 1,

    /// <summary>There, but serving nobody: kept for services with <see cref="BackendGonePolicy.Reset"/>, which must tell it from one that
    /// is gone.</summary>
    NotServing = 2,
}

/// <summary>Value of the backend map: where packets of a flow really go.</summary>
/// <param name="Address">A pod's or node's address.</param>
/// <param name="Port">Host order.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="State">For people and metrics.</param>
public readonly record struct BackendEntry(IpAddr Address, ushort Port, IpProtocol Protocol, BackendState State) : ITransportEntry<BackendEntry>
{
    byte ITransportEntry<BackendEntry>.StateByte => (byte)State;

    static BackendEntry ITransportEntry<BackendEntry>.Of(IpAddr address, ushort port, IpProtocol protocol, byte state) =>
        new(address, port, protocol, (BackendState)state);
}

/// <summary>Value of the reverse NAT map: the frontend that an id names.</summary>
/// <param name="Address">The address that a client dials.</param>
/// <param name="Port">Host order.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
public readonly record struct ReverseNatEntry(IpAddr Address, ushort Port, IpProtocol Protocol) : ITransportEntry<ReverseNatEntry>
{
    byte ITransportEntry<ReverseNatEntry>.StateByte => 0;

    static ReverseNatEntry ITransportEntry<ReverseNatEntry>.Of(IpAddr address, ushort port, IpProtocol protocol, byte state) =>
        new(address, port, protocol);
}

/// <summary>Key of the serving map: this backend serves (ready, or serving while terminating) for this service port.</summary>
public readonly record struct ServingKey(uint ServicePortId, uint BackendId);

/// <summary>Key of the eligible map (Cilium's lb_affinity_match): this backend is in a slot of this frontend and scope.
/// Only frontends with affinity have such entries.</summary>
public readonly record struct EligibleKey(uint RevNatId, LookupScope Scope, uint BackendId);

/// <summary>Value of the service port map.</summary>
/// <param name="Revision">Never repeats; rises after a backend stopped serving for the port.</param>
public readonly record struct ServicePortEntry(ulong Revision);
