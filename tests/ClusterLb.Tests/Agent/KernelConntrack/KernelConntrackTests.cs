using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Tests.Agent.HealthCheck;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent.KernelConntrack;

/// <summary>The kernel's flow table, watched as one that can fill.</summary>
public sealed class KernelConntrackTests
{
    private readonly RecordedEvents _events = new();
    private readonly KernelConntrackWatch _watch;
    private KernelConntrackTable? _table = new KernelConntrackTable(10, 100, 5, 7);

    public KernelConntrackTests() => _watch = new KernelConntrackWatch("node-a", () => _table, _events, NullLogger.Instance, TimeProvider.System);

    [Fact]
    public async Task A_table_that_fills_is_told_once_until_it_has_room_again()
    {
        Look(10);
        Look(89);
        Assert.Equal("", _watch.Problem);

        Look(90);
        Assert.StartsWith("the kernel's flow table has 90 of 100 entries; raise conntrack.maxPerCore", _watch.Problem, StringComparison.Ordinal);
        Assert.Equal($"Node node-a KernelConntrackFull: {_watch.Problem}", await _events.NextAsync());

        Look(95);
        Look(85); // not yet
        Assert.StartsWith("the kernel's flow table has 85 of 100", _watch.Problem, StringComparison.Ordinal);
        Look(79);
        Assert.Equal("", _watch.Problem);
        Assert.True(_events.IsEmpty);

        Look(99);
        await _events.NextAsync();
    }

    [Fact]
    public async Task Entries_that_make_room_are_told_as_often_as_they_rise()
    {
        Look(50); // what was dropped before is old news
        _table = new KernelConntrackTable(50, 100, 5, 8);
        _watch.Look();
        Assert.Contains("packets of new connections are dropped", await _events.NextAsync(), StringComparison.Ordinal);
        _watch.Look();
        Assert.Equal("", _watch.Problem); // no more, and half empty

        _table = new KernelConntrackTable(50, 100, 6, 8); // two that wanted one entry: no lack of room
        _watch.Look();
        Assert.True(_events.IsEmpty);
    }

    [Fact]
    public void A_kernel_without_the_table_is_no_problem()
    {
        _table = null;
        _watch.Look();

        Assert.Equal("", _watch.Problem);
    }

    [Fact]
    public void Statistics_are_hexadecimal_and_of_every_processor() => Assert.Equal((0x1FL, 3L), KernelConntrackTable.ParseStatistics(
    [
        "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error",
        "00000000  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000000f 00000001 00000000",
        "00000000  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000010 00000002 00000000",
    ]));

    private void Look(int count)
    {
        _table = new KernelConntrackTable(count, 100, 5, 7);
        _watch.Look();
    }
}
