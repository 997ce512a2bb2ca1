using ClusterLb.Agent.HealthCheck;
using ClusterLb.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>A node that serves worse than it should tells so, once.</summary>
public sealed class HealthWatchTests : IAsyncLifetime
{
    private static readonly AgentHealth Good = new() { Families = [new FamilyHealth("IPv4", DateTimeOffset.UnixEpoch, null)] };
    private static readonly AgentHealth Bad = Good with { Reasons = ["the dataplane is not alive"] };

    private readonly RecordedEvents _events = new();
    private readonly ManualTime _time = new();
    private readonly CancellationTokenSource _stop = new();
    private volatile AgentHealth _health = Bad;
    private Task _running = Task.CompletedTask;

    public Task InitializeAsync()
    {
        _running = new HealthWatch("node-a", () => _health, _events, NullLogger.Instance, _time).RunAsync(_stop.Token);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _running);
        _stop.Dispose();
    }

    [Fact]
    public async Task Each_fall_is_one_event_and_the_start_is_none()
    {
        await LookAsync();
        _health = Good;
        await LookAsync();
        Assert.True(_events.IsEmpty);

        _health = Bad;
        await LookAsync();
        await LookAsync();
        await LookAsync();
        Assert.Equal("Node node-a Degraded: the dataplane is not alive", await _events.NextAsync());
        Assert.True(_events.IsEmpty);

        _health = Good;
        await LookAsync();
        _health = Good with { Families = [new FamilyHealth("IPv4", null, DateTimeOffset.UnixEpoch)] };
        await LookAsync();
        await LookAsync();
        Assert.Equal("Node node-a Degraded: IPv4: changes wait since 1970-01-01T00:00:00Z", await _events.NextAsync());
    }

    [Fact]
    public async Task What_mends_itself_between_two_looks_is_no_event()
    {
        for (int i = 0; i < 3; i++)
        {
            _health = Good;
            await LookAsync();
            _health = Bad;
            await LookAsync();
        }

        Assert.True(_events.IsEmpty);
    }

    /// <summary>It looks on the thread that moves the clock, or soon after: then it waits again.</summary>
    private async Task LookAsync()
    {
        while (_time.Timers == 0)
        {
            await Task.Yield();
        }

        _time.Advance(TimeSpan.FromSeconds(5));
        while (_time.Timers == 0)
        {
            await Task.Yield();
        }
    }
}
