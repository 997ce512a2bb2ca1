using System.Diagnostics;
using System.Net;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>The steps, under one service proxy.</summary>
internal sealed class Scenario(ClusterSettings settings, ServiceUnderTest service, IReadOnlyList<Origin> origins, LossLog losses, Action<string> say, CancellationToken cancel)
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    private readonly List<StepResult> _requests = [];
    private readonly List<StepResult> _datagrams = [];
    private Load? _load;

    /// <summary>Runs all steps with the proxy in place, and takes it away again.</summary>
    public async Task<ColumnResult> RunAsync(IServiceProxy proxy)
    {
        try
        {
            await proxy.StartAsync();
            await WaitUntilServedAsync(proxy);
            var reached = new List<ReachResult>();
            foreach (Origin origin in origins)
            {
                reached.AddRange(await ReachAsync(origin));
            }

            string loadBefore = MachineLoad.Average();
            int top = settings.Replicas;
            await StepAsync("1 replica", false, () => Task.Delay(Settling, cancel));
            await StepAsync($"1 → {top}", false, () => service.ScaleAsync(top));
            await StepAsync($"all {top} replaced by a rollout", false, () => service.RolloutAsync(top));
            await StepAsync($"{top / 4} of {top} killed", false, () => service.KillAsync(top / 4, top));
            await StepAsync($"{top} → 0", true, () => service.ScaleAsync(0));
            await StepAsync("0 replicas", true, () => Task.CompletedTask);
            await StepAsync("0 → 1", true, () => service.ScaleAsync(1));
            await StepAsync("1 replica again", false, () => Task.CompletedTask);
            await _load!.DisposeAsync();
            _load = null;
            return new ColumnResult(proxy.Name, (loadBefore, MachineLoad.Average()), reached, _requests, _datagrams);
        }
        finally
        {
            if (_load is not null)
            {
                await _load.DisposeAsync();
            }

            await proxy.StopAsync();
        }
    }

    private async Task StepAsync(string name, bool mayBeRefused, Func<Task> change)
    {
        var requests = new StepResult(name, mayBeRefused);
        var datagrams = new StepResult(name, mayBeRefused);
        _requests.Add(requests);
        _datagrams.Add(datagrams);
        if (_load is null)
        {
            _load = new Load(service, origins, requests, datagrams, losses);
        }
        else
        {
            _load.Begin(requests, datagrams);
        }

        long started = Stopwatch.GetTimestamp();
        await change();
        await Task.Delay(Settling, cancel);
        requests.Elapsed = datagrams.Elapsed = Stopwatch.GetElapsedTime(started);
        say($"  {name}: {requests.Requests} requests, {requests.Lost} lost {requests.Reasons}; " +
            $"{datagrams.Requests} datagrams, {datagrams.Lost} lost; {requests.Elapsed.TotalSeconds:0} s");
    }

    private async Task<IReadOnlyList<ReachResult>> ReachAsync(Origin origin)
    {
        var results = new List<ReachResult>();
        await AddAsync("cluster IP", new IPEndPoint(service.Address, ServiceUnderTest.Port));
        if (service.Address6 is { } address6 && origin.Name != "outside")
        {
            await AddAsync("cluster IP, IPv6", new IPEndPoint(address6, ServiceUnderTest.Port));
        }

        (IPAddress? found, Answer dns) = await Request.ResolveAsync(origin.Namespace, service.Dns, service.DnsName, Timeout);
        if (found is null)
        {
            results.Add(new ReachResult(origin.Name, "DNS name", dns.Failure));
        }
        else
        {
            await AddAsync("DNS name", new IPEndPoint(found, ServiceUnderTest.Port));
        }

        return results;

        async Task AddAsync(string how, IPEndPoint to)
        {
            Answer answer = await Request.GetAsync(origin.Namespace, to, "/clientip", Timeout);
            string source = IPEndPoint.TryParse(answer.Body.Trim(), out IPEndPoint? seen) ? $"seen as {seen.Address}" : answer.Body;
            results.Add(new ReachResult(origin.Name, how, answer.Failure.Length > 0 ? answer.Failure : source));
        }
    }

    // A proxy that has just started may need a moment; a column begins when every origin gets an answer.
    private async Task WaitUntilServedAsync(IServiceProxy proxy)
    {
        long started = Stopwatch.GetTimestamp();
        foreach (Origin origin in origins)
        {
            while (true)
            {
                var to = new IPEndPoint(service.Address, ServiceUnderTest.Port);
                Answer answer = await Request.GetAsync(origin.Namespace, to, "/hostname", Timeout);
                if (answer.Failure.Length == 0)
                {
                    break;
                }

                if (Stopwatch.GetElapsedTime(started) > StartPatience)
                {
                    throw new LabException($"{proxy.Name}: {origin.Name} does not reach {to}: {answer.Failure}");
                }

                await Task.Delay(200, cancel);
            }
        }
    }
}
