using System.Diagnostics;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>All checks, or those of the groups that were asked for, under one service proxy after the other.</summary>
internal sealed class CheckScenario(CheckBed bed, IReadOnlyList<string> groups, Action<string> say, CancellationToken cancel)
{
    private static readonly ICheckGroup[] All =
    [
        new ClusterIpChecks(), new RefusalChecks(), new TypeChecks(), new NodePortChecks(), new AffinityChecks(), new ExternalPolicyChecks(),
        new InternalPolicyChecks(), new LoadBalancerChecks(), new SliceChecks(), new TerminationChecks(), new ConntrackChecks(),
        new HostPortChecks(), new DnsChecks(), new ReachChecks(), new TopologyChecks(), new NodeChecks(),
    ];

    /// <summary>Runs them with the proxy in place, and takes it away again.</summary>
    /// <exception cref="LabException">A group that was asked for does not exist.</exception>
    public async Task<CheckColumn> RunAsync(IServiceProxy proxy)
    {
        string[] unknown = [.. groups.Where(g => All.All(a => a.Name != g))];
        if (unknown.Length > 0)
        {
            throw new LabException($"There are no checks of {string.Join(", ", unknown)}; there are: {string.Join(", ", All.Select(a => a.Name))}");
        }

        string before = MachineLoad.Average();
        var list = new CheckList(say, cancel);
        try
        {
            await proxy.StartAsync();
            long started = Stopwatch.GetTimestamp();
            foreach (ICheckGroup group in All.Where(a => groups.Count == 0 || groups.Contains(a.Name)))
            {
                await list.RunGroupAsync(group, bed);
            }

            say($"{proxy.Name}: {list.Results.Count(r => r.Passed)} passed, {list.Results.Count(r => !r.Passed)} failed");
            return new CheckColumn(proxy.Name, (before, MachineLoad.Average()), Stopwatch.GetElapsedTime(started), list.Results);
        }
        finally
        {
            await proxy.StopAsync();
        }
    }
}
