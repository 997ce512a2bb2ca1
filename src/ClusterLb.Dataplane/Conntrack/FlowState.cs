namespace ClusterLb.Dataplane.Conntrack;

/// <summary>What has been seen of a flow. Bits are only ever added, but for those of an orphan: a connection that begins anew gets a
/// new flow.</summary>
/// <remarks>Part of the file's layout; append only.</remarks>
[Flags]
public enum FlowState : uint
{
    /// <summary>The first packet only.</summary>
    None = 0,

    /// <summary>The backend has answered.</summary>
    ReplySeen = 1,

    /// <summary>The client has gone on after the backend's answer, in TCP with something else than a SYN. No full table takes such a flow.</summary>
    Established = 2,

    /// <summary>TCP: FIN from the client.</summary>
    ClientFin = 4,

    /// <summary>TCP: FIN from the backend.</summary>
    BackendFin = 8,

    /// <summary>TCP: RST from either side.</summary>
    Reset = 16,

    /// <summary>TCP: the backend has left the service port. Goes again if it comes back.</summary>
    Orphaned = 32,

    /// <summary>An orphan whose backend owes an answer: it was asked, and has not said anything since. Goes with the answer.</summary>
    AnswerDue = 64,

    /// <summary>An orphan that nobody will answer any more: its client is to be told.</summary>
    BackendGone = 128,
}
