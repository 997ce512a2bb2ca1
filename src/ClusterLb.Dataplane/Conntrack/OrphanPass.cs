using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>One look through the flow tables for orphans: what is known, and what was found. One thread at a time.</summary>
internal sealed class OrphanPass(LbMaps maps)
{
    /// <summary>How long a backend that has left its service may leave a packet unanswered. Long enough for a lost packet to be repeated
    /// twice (RFC 6298 and Linux begin at 200 ms), short enough for a client to be told within a second.</summary>
    public const long AnswerMs = 500;

    /// <summary>How long an orphan lives that waits: for its backend's answer, or, given up, for a packet of the client. So the time
    /// of the question is the time of expiry less this.</summary>
    public const long LifeMs = 10_000;

    /// <summary>Of a slice. Writing one into the device takes some two microseconds.</summary>
    public const int MostQuestions = 32;

    private readonly OrphanQuestion[] _questions = new OrphanQuestion[MostQuestions];
    private int _asked;

    /// <summary>CLOCK_MONOTONIC milliseconds.</summary>
    public long NowMs { get; set; }

    /// <summary>Of flows that are no orphans any more.</summary>
    public FlowTimeouts Timeouts { get; set; }

    /// <summary>Orphans that have answered are asked again.</summary>
    public bool AsksAll { get; set; }

    /// <summary>Flows found whose backend has left.</summary>
    public int Orphans { get; set; }

    /// <summary>Of these, the ones that somebody has to answer.</summary>
    public int Waiting { get; set; }

    /// <summary>What is to be asked.</summary>
    public ReadOnlySpan<OrphanQuestion> Questions => _questions.AsSpan(0, _asked);

    /// <summary>Before a slice of the pass.</summary>
    public void ForgetQuestions() => _asked = 0;

    /// <summary>False if there is no room for another one.</summary>
    public bool TryAsk(in OrphanQuestion question)
    {
        if (_asked == MostQuestions)
        {
            return false;
        }

        _questions[_asked++] = question;
        return true;
    }

    /// <summary>True if the flow's backend serves its service port.</summary>
    /// <param name="servicePortId">The flow's.</param>
    /// <param name="backendId">The flow's.</param>
    /// <param name="known">The service port's revision when the backend was last known to serve.</param>
    /// <param name="revision">What may be remembered instead of <paramref name="known"/>.</param>
    public bool IsServed(uint servicePortId, uint backendId, ulong known, out ulong revision)
    {
        // Revision before serving, as the packets of UDP flows look.
        maps.ServicePorts.TryLookup(servicePortId, out ServicePortEntry port);
        revision = port.Revision;
        return revision == known || maps.Serving.TryLookup(new ServingKey(servicePortId, backendId), out _);
    }

    /// <summary>True if any service has the backend, serving or, with <see cref="BackendGonePolicy.Reset"/>, not.</summary>
    public bool Exists(uint backendId) => maps.Backends.TryLookup(backendId, out _);
}
