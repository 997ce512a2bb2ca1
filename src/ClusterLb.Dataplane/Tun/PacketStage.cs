namespace ClusterLb.Dataplane.Tun;

/// <summary>How far a packet of a batch has come: what the next dataplane reads if this one is killed.</summary>
internal enum PacketStage : uint
{
    /// <summary>Written, dropped, or there is none.</summary>
    Done = 0,

    /// <summary>As it was read.</summary>
    Read,

    /// <summary>In the pipeline: perhaps rewritten by half, so of no use to anybody else.</summary>
    InWork,

    /// <summary>As it is to be written.</summary>
    Decided,
}
