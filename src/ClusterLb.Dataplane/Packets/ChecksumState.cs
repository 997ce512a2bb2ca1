namespace ClusterLb.Dataplane.Packets;

/// <summary>What a full look at a transport checksum finds.</summary>
public enum ChecksumState : byte
{
    /// <summary>It does not match what it covers.</summary>
    Invalid = 0,

    /// <summary>It matches; or the packet is a fragment, which cannot be checked alone.</summary>
    Valid = 1,

    /// <summary>The sum of the pseudo header, which the device will complete.</summary>
    Partial = 2,

    /// <summary>The sender computed none.</summary>
    None = 3,
}
