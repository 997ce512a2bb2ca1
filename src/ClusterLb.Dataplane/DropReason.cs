namespace ClusterLb.Dataplane;

/// <summary>Why a packet was not forwarded: also the metric label and the word the CLI prints.</summary>
/// <remarks>Append only: dashboards and captures outlive a release, so a number keeps its meaning.</remarks>
public enum DropReason : byte
{
    /// <summary>Not dropped.</summary>
    None = 0,

    /// <summary>Shorter than its own headers say.</summary>
    Truncated = 1,

    /// <summary>A header field has a value that no sender may use (version, header length, option or extension length).</summary>
    Malformed = 2,

    /// <summary>A transport protocol that no service can have.</summary>
    UnknownProtocol = 3,

    /// <summary>The IPv4 header checksum is wrong.</summary>
    BadChecksum = 4,

    /// <summary>A later fragment whose first fragment was not seen, is forgotten, or went nowhere.</summary>
    FragmentWithoutFirst = 5,

    /// <summary>An ICMP error that embeds a packet of no known flow, for an address of a service range.</summary>
    IcmpWithoutFlow = 6,

    /// <summary>An address of a service range that no service owns.</summary>
    UnknownServiceAddress = 7,

    /// <summary>A service without any usable endpoint; the sender was told.</summary>
    NoBackend = 8,

    /// <summary>A port that its service does not have; the sender was told.</summary>
    UnknownServicePort = 9,

    /// <summary>Usable endpoints exist, but the traffic policy is Local and none is on this node.</summary>
    NoLocalBackend = 10,

    /// <summary>The source is outside of loadBalancerSourceRanges.</summary>
    NotInSourceRange = 11,

    /// <summary>No room for a new flow.</summary>
    ConntrackFull = 12,

    /// <summary>No free source port towards this backend.</summary>
    SnatPortsExhausted = 13,

    /// <summary>The maps changed under the packet more often than it was willing to look again.</summary>
    MapsInMotion = 14,

    /// <summary>A new flow before the first complete sync: the service may exist, we do not know yet.</summary>
    NotSynced = 15,

    /// <summary>To a link-local or multicast address: never meant for a service. Or from an address of a service range, which nobody has.</summary>
    NotRoutable = 16,

    /// <summary>A TCP packet of no known flow that does not begin one.</summary>
    NotASyn = 17,

    /// <summary>The masquerade address of this family is not known (the node has none).</summary>
    NoMasqueradeAddress = 18,

    /// <summary>The device did not take the packet.</summary>
    WriteFailed = 19,

    /// <summary>A reply from a backend, or something that looks like one, that no flow can translate back.</summary>
    UntranslatableReply = 20,

    /// <summary>The answer to a refused packet was held back by the rate limit.</summary>
    RejectRateLimited = 21,

    /// <summary>The first fragment of an SCTP packet whose ports would have to change, or of no known association: its CRC32c covers ports and
    /// all data, and how much data follows a first fragment does not say.</summary>
    SctpFragment = 22,

    /// <summary>A fragment of an ICMP error: real ones are short. Also the first fragment of any ICMP message but a ping, for an address whose
    /// pings we answer: by its later fragments it could not be told from a ping.</summary>
    IcmpFragment = 23,

    /// <summary>A TCP packet of a connection whose backend is gone for good; both ends are told by a reset.</summary>
    BackendGone = 24,
}
