using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.KernelConntrack;

/// <summary>Tells, by log, Event and the agent's health, that the kernel's flow table fills up or makes room by dropping.</summary>
/// <remarks>Its entries carry the mark that brings replies back: a connection without one does not come about. One thread, but <see cref="Problem"/>.</remarks>
internal sealed class KernelConntrackWatch(string nodeName, Func<KernelConntrackTable?> read, IEventSink events, ILogger log, TimeProvider time)
{
    /// <summary>What scripts look for.</summary>
    public const string FullReason = "KernelConntrackFull";

    private const double Low = 0.8; // below it the matter is over; between both nothing changes
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private KernelConntrackTable? _seen;
    private volatile string _problem = "";

    /// <summary>What people should know, in a sentence; empty if there is room. Any thread.</summary>
    public string Problem => _problem;

    /// <summary>Looks now and then until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (true)
        {
            Look();
            await Task.Delay(Period, time, cancellation);
        }
    }

    /// <summary>Compares with the last look.</summary>
    internal void Look()
    {
        if (read() is not { } now)
        {
            return;
        }

        KernelConntrackTable before = _seen ?? now; // what was before the first look is old news
        _seen = now;
        bool drops = now.EarlyDropped > before.EarlyDropped || (now.Dropped > before.Dropped && now.Fill >= KernelConntrackTable.High);
        bool isHigh = drops || now.Fill >= (_problem.Length > 0 ? Low : KernelConntrackTable.High);
        if (!isHigh)
        {
            if (_problem.Length > 0)
            {
                log.LogInformation("The kernel's flow table has room again {Entries} {Capacity}", now.Count, now.Capacity);
            }

            _problem = "";
            return;
        }

        bool isNew = _problem.Length == 0;
        _problem = $"the kernel's flow table has {now.Count} of {now.Capacity} entries{(drops ? ", and packets of new connections are dropped" : "")}; " +
            KernelConntrackTable.Advice;
        if (isNew || drops)
        {
            log.LogError("The kernel's flow table is filling up {Entries} {Capacity} {Dropped} {EarlyDropped}",
                now.Count, now.Capacity, now.Dropped - before.Dropped, now.EarlyDropped - before.EarlyDropped);
            events.Warn(ObjectReader.NodeKind, new ObjectName("", nodeName), FullReason, _problem);
        }
    }
}
