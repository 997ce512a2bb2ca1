using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>The first new flow to a backend that somebody awaits is noted, and nothing else.</summary>
public sealed class FirstFlowTests : IDisposable
{
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";

    private readonly ManualTime _time = new();
    private readonly AwaitedBackends _awaited = AwaitedBackends.CreateInMemory();
    private readonly BackendArrivals _arrivals;
    private readonly SafeFileHandle _file;
    private readonly PipelineFixture _lb;
    private readonly ServingKey _pair;

    public FirstFlowTests()
    {
        _arrivals = BackendArrivals.CreateInMemory(_awaited, _time);
        _file = _arrivals.OpenDescriptor();
        _lb = new PipelineFixture(arrivals: _arrivals).WithService($"{Frontend}/TCP", Backend);
        _pair = _lb.Maps.Serving.Entries().Single().Key;
    }

    public void Dispose()
    {
        _lb.Dispose();
        _file.Dispose();
        _arrivals.Dispose();
        _awaited.Dispose();
    }

    [Fact]
    public void A_flow_before_it_was_awaited_does_not_count()
    {
        Connect(41000);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        long since = _time.GetTimestamp();
        _awaited.Await(_pair, since);

        Assert.Null(Arrival(since));
    }

    [Fact]
    public void The_first_new_flow_gives_the_time_and_later_ones_do_not_change_it()
    {
        long since = _time.GetTimestamp();
        _awaited.Await(_pair, since);
        _time.Advance(TimeSpan.FromMilliseconds(3));
        Connect(41000);
        _time.Advance(TimeSpan.FromMilliseconds(3));
        Connect(41001);

        Assert.Equal(since + 3_000_000, Arrival(since));
    }

    [Fact]
    public void A_packet_of_a_known_flow_is_not_noted()
    {
        Connect(41000);
        long since = _time.GetTimestamp();
        _awaited.Await(_pair, since);
        _lb.Send(Packet.Tcp("10.244.0.9:41000", Frontend).Ack());

        Assert.Equal(Verdict.Forward, _lb.Verdict);
        Assert.Null(Arrival(since));
    }

    [Fact]
    public void A_pair_that_took_the_place_of_another_is_not_taken_for_it()
    {
        ServingKey other = _pair;
        do
        {
            other = other with { BackendId = other.BackendId + 1 };
        }
        while (AwaitedBackends.PlaceOf(other) != AwaitedBackends.PlaceOf(_pair));
        long since = _time.GetTimestamp();
        _awaited.Await(_pair, since);
        _awaited.Await(other, since);
        Assert.Equal(1, _awaited.Count);
        Connect(41000);

        Assert.Null(Arrival(since));
        Assert.Null(Arrivals()[AwaitedBackends.PlaceOf(other)].Since(other, since));
    }

    private void Connect(int port)
    {
        _lb.Send(Packet.Tcp($"10.244.0.9:{port}", Frontend).Syn());
        Assert.True(_lb.Meta.NewFlow);
    }

    private long? Arrival(long since) => Arrivals()[AwaitedBackends.PlaceOf(_pair)].Since(_pair, since);

    private BackendArrival[] Arrivals()
    {
        var arrivals = new BackendArrival[AwaitedBackends.Places];
        Assert.True(BackendArrivals.TryRead(_file, arrivals));
        return arrivals;
    }
}
