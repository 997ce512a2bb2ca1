using ClusterLb.Agent;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Tests.Agent.HealthCheck;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent;

/// <summary>A table that is full is an Event of the Node, whether flows are refused or forgotten.</summary>
public sealed class FullTableWatchTests
{
    private readonly RecordedEvents _events = new();
    private readonly FullTableWatch _watch;
    private PipelineCounters _counters = PipelineCounters.CreateInMemory();

    public FullTableWatchTests() => _watch = new FullTableWatch(_events, "node-a", NullLogger.Instance);

    [Fact]
    public async Task What_rises_is_told_and_what_stands_still_is_not()
    {
        _counters.CountReason(DropReason.SnatPortsExhausted, isReply: false); // of an earlier agent's time
        _counters.CountEvicted(flows: 100, pins: 100);
        Look();
        Look();
        Assert.True(_events.IsEmpty);

        _counters.CountReason(DropReason.SnatPortsExhausted, isReply: false);
        _counters.CountReason(DropReason.NoBackend, isReply: false);
        Look();
        Assert.Equal(
            "Node node-a SnatPortsExhausted: new connections are refused on this node: no source port is free towards a backend that many "
            + "masqueraded connections go to; give the service more backends, or conntrack.snatPorts more ports",
            await _events.NextAsync());
        Look();
        Assert.True(_events.IsEmpty);

        _counters.CountReason(DropReason.ConntrackFull, isReply: false);
        Look();
        Assert.StartsWith("Node node-a ConntrackFull: ", await _events.NextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_was_forgotten_early_is_told_by_the_table_that_was_full()
    {
        Look();
        (Action Count, string Told)[] tables =
        [
            (() => _counters.CountEvicted(flows: 1, pins: 0), "Node node-a FlowsForgottenEarly: the flow table is full, "),
            (() => _counters.CountEvicted(flows: 0, pins: 1), "Node node-a AffinityForgottenEarly: the table of session affinity is full: "),
            (_counters.CountEvictedFragments, "Node node-a FragmentsForgottenEarly: the table of fragmented datagrams is full: "),
        ];
        foreach ((Action count, string told) in tables)
        {
            count();
            Look();
            Assert.StartsWith(told, await _events.NextAsync(), StringComparison.Ordinal);
            Look();
            Assert.True(_events.IsEmpty);
        }
    }

    [Fact]
    public void Counters_that_begin_anew_are_no_news()
    {
        _counters.CountReason(DropReason.ConntrackFull, isReply: false);
        _counters.CountReason(DropReason.ConntrackFull, isReply: false);
        Look();
        _counters = PipelineCounters.CreateInMemory();
        _counters.CountReason(DropReason.ConntrackFull, isReply: false);
        Look();

        Assert.True(_events.IsEmpty);
    }

    private void Look() => _watch.Look(_counters);
}
