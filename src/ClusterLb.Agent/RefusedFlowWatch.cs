using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <summary>Tells, by log and Event, that the dataplane refuses new flows because a table of its own is full.</summary>
/// <remarks>Established flows go on. Once per look, and only if more were refused since the last one. One thread.</remarks>
internal sealed class RefusedFlowWatch(IEventSink events, string nodeName, ILogger log)
{
    private static readonly (DropReason Reason, string Why)[] Watched =
    [
        (DropReason.ConntrackFull, "there is no room in the flow table; raise conntrack.ipv4 or conntrack.ipv6 in ClusterLbConfiguration"),
        (DropReason.SnatPortsExhausted, "no source port is free towards a backend that many masqueraded connections go to; give the service more backends, or conntrack.snatPorts more ports"),
    ];

    // Often enough to be near the cause, seldom enough not to fill the log of a node that is short of ports for hours.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly ulong[] _seen = new ulong[Watched.Length];
    private bool _hasLooked;

    /// <summary>Looks now and then until cancelled.</summary>
    /// <param name="read">Reads the dataplane's counters.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task RunAsync(Func<Func<DropReason, ulong>> read, TimeProvider time, CancellationToken cancellation)
    {
        while (true)
        {
            Look(read());
            await Task.Delay(Period, time, cancellation);
        }
    }

    /// <summary>Compares with the last look. What was refused before the first one is old news.</summary>
    /// <param name="drops">The dataplane's counter of a reason.</param>
    public void Look(Func<DropReason, ulong> drops)
    {
        for (int i = 0; i < Watched.Length; i++)
        {
            (DropReason reason, string why) = Watched[i];
            ulong now = drops(reason);
            ulong refused = now - Math.Min(now, _seen[i]); // a counter that began anew counts from the next look on
            _seen[i] = now;
            if (refused == 0 || !_hasLooked)
            {
                continue;
            }

            log.LogError("New flows are refused {Reason} {Refused} {Why}", reason, refused, why);
            events.Warn(ObjectReader.NodeKind, new ObjectName("", nodeName), reason.ToString(), $"new connections are refused on this node: {why}");
        }

        _hasLooked = true;
    }
}
