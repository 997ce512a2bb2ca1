namespace ClusterLb.Dataplane.Tun;

/// <summary>Work that the kernel leaves to us, or rather to the device that sends the packet at last (TUNSETOFFLOAD).</summary>
[Flags]
public enum TunOffloads
{
    /// <summary>Every packet is read complete: checksums computed, segments of MTU size.</summary>
    None = 0,

    /// <summary>Transport checksums may be partial: the field holds the pseudo-header sum only.</summary>
    Checksum = 1,

    /// <summary>TCP segments of up to 64 KiB, IPv4 and IPv6, with ECN.</summary>
    Tso = 2,

    /// <summary>UDP trains of up to 64 KiB (UDP_SEGMENT), IPv4 and IPv6. Linux 6.2.</summary>
    Uso = 4,
}
