using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <summary>Tells, by log and Event, that a table of the dataplane is full: who is refused, and who was forgotten early.</summary>
/// <remarks>Established flows go on. Once per look, and only if there were more since the last one. One thread.</remarks>
internal sealed class FullTableWatch(IEventSink events, string nodeName, ILogger log)
{
    private const string Capacity = "in ClusterLbConfiguration if this is no flood";

    private static readonly (string Reason, LogLevel Level, Func<PipelineCounters, ulong> Count, string Why)[] Watched =
    [
        (nameof(DropReason.ConntrackFull), LogLevel.Error, counters => counters.Drops(DropReason.ConntrackFull),
            "new connections are refused on this node: there is no room in the flow table; raise conntrack.ipv4 or conntrack.ipv6 in ClusterLbConfiguration"),
        (nameof(DropReason.SnatPortsExhausted), LogLevel.Error, counters => counters.Drops(DropReason.SnatPortsExhausted),
            "new connections are refused on this node: no source port is free towards a backend that many masqueraded connections go to; give the service more backends, or conntrack.snatPorts more ports"),
        ("FlowsForgottenEarly", LogLevel.Warning, counters => counters.EvictedFlows,
            $"the flow table is full, or source ports to a backend are: flows that never came to anything make room for new ones; raise conntrack.ipv4 or conntrack.ipv6 {Capacity}"),
        ("AffinityForgottenEarly", LogLevel.Warning, counters => counters.EvictedPins,
            $"the table of session affinity is full: clients that were silent for longest lose their backend with their next connection; raise conntrack.affinity {Capacity}"),
        ("FragmentsForgottenEarly", LogLevel.Warning, counters => counters.EvictedFragments,
            $"the table of fragmented datagrams is full: the rest of the oldest ones is dropped; raise conntrack.fragments {Capacity}"),
    ];

    // Often enough to be near the cause, seldom enough not to fill the log of a node that is short of ports for hours.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly ulong[] _seen = new ulong[Watched.Length];
    private bool _hasLooked;

    /// <summary>Looks now and then until cancelled.</summary>
    /// <param name="read">Reads the dataplane's counters.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task RunAsync(Func<PipelineCounters> read, TimeProvider time, CancellationToken cancellation)
    {
        while (true)
        {
            Look(read());
            await Task.Delay(Period, time, cancellation);
        }
    }

    /// <summary>Compares with the last look. What happened before the first one is old news.</summary>
    /// <param name="counters">The dataplane's.</param>
    public void Look(PipelineCounters counters)
    {
        for (int i = 0; i < Watched.Length; i++)
        {
            (string reason, LogLevel level, Func<PipelineCounters, ulong> count, string why) = Watched[i];
            ulong now = count(counters);
            ulong more = now - Math.Min(now, _seen[i]); // a counter that began anew counts from the next look on
            _seen[i] = now;
            if (more == 0 || !_hasLooked)
            {
                continue;
            }

            log.Log(level, "A table of the dataplane is full {Reason} {Count} {Why}", reason, more, why);
            events.Warn(ObjectReader.NodeKind, new ObjectName("", nodeName), reason, why);
        }

        _hasLooked = true;
    }
}
