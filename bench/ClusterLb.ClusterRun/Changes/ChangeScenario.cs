using System.Net;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun.Changes;

/// <summary>Pods come and go, and the service proxy's processes end, while connections and flows last.</summary>
internal sealed class ChangeScenario(
    ServiceUnderTest service, IReadOnlyList<Origin> origins, IReadOnlyList<string> only, Action<string> say, CancellationToken cancel)
{
    public const int Pods = 6;

    private const int Ends = 10;
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ScalePause = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan BetweenKills = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    private readonly List<ChangeResult> _results = [];
    private ChangeLoad _load = null!;

    /// <summary>Runs all steps, or those that were asked for by a word of their names, with the proxy in place, and takes it away again.</summary>
    public async Task<ChangeColumn> RunAsync(IServiceProxy proxy)
    {
        string before = MachineLoad.Average();
        try
        {
            await proxy.StartAsync();
            await service.ScaleAsync(Pods);
            var to = new IPEndPoint(service.Address, ServiceUnderTest.Port);
            await WaitUntilServedAsync(proxy, to);
            await using (_load = new ChangeLoad(to, origins, new ChangeResult("warming up")))
            {
                await Task.Delay(Settling, cancel);
                await StepAsync("nothing changes", () => Task.Delay(Settling, cancel));
                await StepAsync($"rollout of all {Pods} pods", () => service.RolloutAsync(Pods));
                await StepAsync($"scale {Pods} → 20 → 2 → 12 → {Pods}, every {ScalePause.TotalSeconds:0} s", ScaleUpAndDownAsync);
                await StepAsync("two pods at a time deleted by force, 3 times", DeleteAsync);
                foreach (ProxyPart part in Enum.GetValues<ProxyPart>())
                {
                    await StepAsync($"{NameOf(part)} killed (-9) {Ends} times on every node", () => EndAsync(proxy, part, Ends, kill: true), proxy.Has(part));
                }

                await StepAsync($"agent ended (TERM) and started {Ends} times", () => EndAsync(proxy, ProxyPart.Agent, Ends, kill: false), proxy.Has(ProxyPart.Agent));
            }

            return new ChangeColumn(proxy.Name, (before, MachineLoad.Average()), _results);
        }
        finally
        {
            await proxy.StopAsync();
        }
    }

    private static string NameOf(ProxyPart part) => part switch
    {
        ProxyPart.Agent => "agent",
        ProxyPart.Dataplane => "dataplane",
        ProxyPart.Both => "agent and dataplane",
        _ => "agent, dataplane and successor",
    };

    private async Task StepAsync(string name, Func<Task> change, bool applies = true)
    {
        var step = new ChangeResult(name);
        _results.Add(step);
        if (!applies || (only.Count > 0 && !only.Any(word => name.Contains(word, StringComparison.Ordinal))))
        {
            return;
        }

        _load.Begin(step);
        await change();
        await Task.Delay(Settling, cancel);
        _load.Judge(service.ServingPods());
        say($"  {name}: new TCP {step.NewTcp.Lost} of {step.NewTcp.Total} lost, slowest {step.NewTcp.Slowest.TotalMilliseconds:0} ms; " +
            $"new UDP {step.NewUdp.Lost} of {step.NewUdp.Total}; long UDP {step.LongUdp.Lost} of {step.LongUdp.Total}; " +
            $"long TCP {step.LongTcp.Lost} of {step.LongTcp.Total}, longest silence {step.LongTcp.Slowest.TotalMilliseconds:0} ms {step.Reasons}");
    }

    // Kubernetes is not waited for: the next order comes while the last is still carried out.
    private async Task ScaleUpAndDownAsync()
    {
        foreach (int replicas in (int[])[20, 2, 12])
        {
            service.Scale(replicas);
            await Task.Delay(ScalePause, cancel);
        }

        await service.ScaleAsync(Pods);
    }

    private async Task DeleteAsync()
    {
        for (int i = 0; i < 3; i++)
        {
            await service.KillAsync(2, Pods);
        }
    }

    private async Task EndAsync(IServiceProxy proxy, ProxyPart part, int times, bool kill)
    {
        for (int i = 0; i < times; i++)
        {
            await proxy.EndAsync(part, kill);
            await Task.Delay(BetweenKills, cancel);
        }
    }

    private async Task WaitUntilServedAsync(IServiceProxy proxy, IPEndPoint to)
    {
        using var patience = new CancellationTokenSource(StartPatience);
        foreach (Origin origin in origins)
        {
            while (await Request.GetAsync(origin.Namespace, to, "/hostname", TimeSpan.FromSeconds(3)) is { Failure.Length: > 0 } answer)
            {
                if (patience.IsCancellationRequested)
                {
                    throw new LabException($"{proxy.Name}: {origin.Name} does not reach {to}: {answer.Failure}");
                }

                await Task.Delay(200, cancel);
            }
        }
    }
}
