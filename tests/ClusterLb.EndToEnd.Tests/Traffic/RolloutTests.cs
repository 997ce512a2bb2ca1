using System.Diagnostics;
using ClusterLb.EndToEnd.Tests.Stage;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>A Deployment is rolled out: its endpoints are replaced one by one, as the controllers of Kubernetes do it, and nobody notices.</summary>
public sealed class RolloutTests(RolloutLabFixture fixture, ITestOutputHelper output) : IClassFixture<RolloutLabFixture>
{
    private const int Replaced = RolloutLabFixture.Endpoints / 2;
    private const int Grace = 3; // replacements begun meanwhile: so long an endpoint serves while it is terminating
    private const int LongConnections = 60;
    private const int LongUdpFlows = 20;

    [LabFact]
    public async Task A_hundred_endpoints_are_replaced_one_by_one_no_request_fails_and_no_connection_is_interrupted()
    {
        using var rollout = new Rollout(fixture);
        for (int endpoint = 0; endpoint < Replaced; endpoint++)
        {
            rollout.Start(endpoint);
            rollout.SayNotReady(endpoint);
            rollout.SayReady(endpoint);
        }

        await rollout.PublishAsync();
        await using var load = new RolloutLoad(fixture, rollout.Service);
        await load.StartAsync(LongConnections, LongUdpFlows);
        long started = Stopwatch.GetTimestamp();
        for (int step = 0; step <= Replaced + Grace && load.Failures.Count == 0; step++)
        {
            // In one step, one endpoint each: a new one is listed, the one before it is ready, the old one in its place terminates, and an
            // older one is gone.
            if (step < Replaced)
            {
                rollout.SayNotReady(Replaced + step);
            }

            int changing = step - 1;
            if (changing is >= 0 and < Replaced)
            {
                rollout.Start(Replaced + changing); // not before: whoever is sent there earlier is refused
                rollout.SayReady(Replaced + changing);
                rollout.SayTerminating(changing);
            }

            int leaving = step - 1 - Grace;
            if (leaving >= 0)
            {
                await ReplaceAsync(rollout, load, leaving);
            }
            else
            {
                await rollout.PublishAsync();
            }

            if (changing is >= 0 and < Replaced)
            {
                load.Leave(fixture.Endpoint(changing));
            }

            await load.RoundAsync();
        }

        await load.StopAsync();
        output.WriteLine($"{Replaced} endpoints replaced in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s: {load.Summary}");
        Assert.Empty(load.Failures);
        fixture.AssertNoDamage();
    }

    /// <summary>An endpoint goes: its program ends and the slices tell later, as usual; or the slices tell first, and its connections drain.</summary>
    private async Task ReplaceAsync(Rollout rollout, RolloutLoad load, int endpoint)
    {
        bool endsFirst = endpoint % 2 == 0;
        if (endsFirst)
        {
            await load.EndAsync(fixture.Endpoint(endpoint));
        }

        await load.MoveAsync(fixture.Endpoint(endpoint), async () =>
        {
            if (endsFirst)
            {
                rollout.End(endpoint);
            }

            rollout.SayGone(endpoint);
            await rollout.PublishAsync();
        });
        if (!endsFirst)
        {
            await load.EndAsync(fixture.Endpoint(endpoint));
            rollout.End(endpoint);
        }
    }
}
