using ClusterLb.Agent;
using ClusterLb.Dataplane;
using ClusterLb.Tests.Agent.HealthCheck;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent;

/// <summary>Flows that are refused for lack of room are an Event of the Node.</summary>
public sealed class RefusedFlowWatchTests
{
    private readonly Dictionary<DropReason, ulong> _drops = [];
    private readonly RecordedEvents _events = new();
    private readonly RefusedFlowWatch _watch;

    public RefusedFlowWatchTests() => _watch = new RefusedFlowWatch(_events, "node-a", NullLogger.Instance);

    [Fact]
    public async Task What_rises_is_told_and_what_stands_still_is_not()
    {
        _drops[DropReason.SnatPortsExhausted] = 7; // of an earlier agent's time
        Look();
        Look();
        Assert.True(_events.IsEmpty);

        _drops[DropReason.SnatPortsExhausted] = 8;
        _drops[DropReason.NoBackend] = 100;
        Look();
        Assert.Equal(
            "Node node-a SnatPortsExhausted: new connections are refused on this node: no source port is free towards a backend that many "
            + "masqueraded connections go to; give the service more backends, or conntrack.snatPorts more ports",
            await _events.NextAsync());
        Look();
        Assert.True(_events.IsEmpty);

        _drops[DropReason.ConntrackFull] = 1;
        Look();
        Assert.StartsWith("Node node-a ConntrackFull: ", await _events.NextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public void Counters_that_begin_anew_are_no_news()
    {
        _drops[DropReason.ConntrackFull] = 1_000;
        Look();
        _drops[DropReason.ConntrackFull] = 3;
        Look();

        Assert.True(_events.IsEmpty);
    }

    private void Look() => _watch.Look(reason => _drops.GetValueOrDefault(reason));
}
