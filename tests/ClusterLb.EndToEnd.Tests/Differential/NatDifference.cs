namespace ClusterLb.EndToEnd.Tests.Differential;

/// <summary>Where the kernel's NAT and ours differ on purpose. Each value says why.</summary>
internal enum NatDifference
{
    /// <summary>A router takes one hop. The dataplane gives back the one that the kernel takes on the way into it, so that a service is
    /// as far away as its backend.</summary>
    HopLimit,

    /// <summary>The kernel lets all errors about a translated connection come from the service; the dataplane leaves routers their
    /// address, so that traceroute shows them, and translates only that of the backend or client itself.</summary>
    RouterAddress,

    /// <summary>The kernel leaves the checksum of a quoted TCP header as it is where the header is not quoted to its end. The dataplane translates
    /// it wherever it is there, so that the sender finds what it sent.</summary>
    QuotedChecksum,

    /// <summary>A router writes its address into a record route option. The dataplane is no router: the kernel does so on both sides of it.</summary>
    RecordRoute,
}
