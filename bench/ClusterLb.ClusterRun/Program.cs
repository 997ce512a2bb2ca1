using System.Runtime.InteropServices;
using ClusterLb.ClusterRun;
using ClusterLb.ClusterRun.Changes;
using ClusterLb.ClusterRun.Checks;
using ClusterLb.Lab.Stage;

// A real cluster with ClusterLb or kube-proxy on the nodes. Arguments: nothing for a Deployment that is reached, scaled, rolled out and
// killed under load, `changes` for what lasts while things change, `checks` for what Kubernetes' own network tests ask; and the file to
// write the report to. What it needs to know: docs/kubernetes.md, "On a real cluster".
using var folder = new RunFolder();
using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, EndInOrder);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndInOrder);
string verb = args is ["changes" or "checks", ..] ? args[0] : "";
string? file = args.Skip(verb.Length > 0 ? 1 : 0).FirstOrDefault();
try
{
    ClusterSettings settings = ClusterSettings.Read();
    RunFolder.CleanNodes(settings);
    var kubectl = new Kubectl(settings);
    using var outside = new OutsideRoute(settings, kubectl);
    (string report, bool isWell) = verb == "checks" ? await ChecksAsync(settings, kubectl, outside) : await LoadAsync(settings, kubectl, outside);
    Console.WriteLine(report);
    if (file is not null)
    {
        File.WriteAllText(file, report);
    }

    return isWell ? 0 : 1;
}
catch (LabException e)
{
    Console.Error.WriteLine($"cluster: {e.Message}");
    return 1;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("cluster: interrupted; the nodes are as they were");
    return 130;
}

async Task<(string Report, bool IsWell)> ChecksAsync(ClusterSettings settings, Kubectl kubectl, OutsideRoute outside)
{
    var bed = new CheckBed(settings, kubectl, outside, stop.Token);
    var columns = new List<CheckColumn>();
    try
    {
        await bed.CreateAsync();
        foreach (IServiceProxy proxy in ServiceProxies.Of(settings, kubectl, folder))
        {
            Console.WriteLine($"{proxy.Name}, {DateTime.Now:HH:mm:ss}");
            columns.Add(await new CheckScenario(bed, settings.CheckGroups, Console.WriteLine, stop.Token).RunAsync(proxy));
        }
    }
    finally
    {
        bed.Delete();
    }

    return (CheckReport.Of(columns, RunFacts.Of(settings, kubectl, columns.Select(c => (c.Proxy, c.MachineLoad)))), columns.All(c => c.Results.All(r => r.Passed)));
}

async Task<(string Report, bool IsWell)> LoadAsync(ClusterSettings settings, Kubectl kubectl, OutsideRoute outside)
{
    bool isChanges = verb == "changes";
    var service = new ServiceUnderTest(kubectl, settings, stop.Token);
    var columns = new List<ColumnResult>();
    var changes = new List<ChangeColumn>();
    using TextWriter lost = file is not null && !isChanges ? File.CreateText(file + ".lost") : TextWriter.Null;
    try
    {
        IReadOnlyList<Origin> pods = await service.CreateAsync();
        outside.Add(service.Address, service.Dns.Address);
        List<Origin> origins = [.. pods, .. settings.Nodes.Select(n => new Origin($"node {n.Key}", n.Value, HasDns: false))];
        if (settings.Outside is { } ns)
        {
            origins.Add(new Origin("outside", ns, HasDns: false));
        }

        foreach (IServiceProxy proxy in ServiceProxies.Of(settings, kubectl, folder))
        {
            Console.WriteLine($"{proxy.Name}, {DateTime.Now:HH:mm:ss}");
            lost.WriteLine(proxy.Name);
            if (isChanges)
            {
                changes.Add(await new ChangeScenario(service, origins, settings.ChangeSteps, Console.WriteLine, stop.Token).RunAsync(proxy));
                continue;
            }

            columns.Add(await new Scenario(settings, service, origins, new LossLog(lost), Console.WriteLine, stop.Token).RunAsync(proxy));
        }
    }
    finally
    {
        service.Delete();
    }

    if (isChanges)
    {
        return (ChangeReport.Of(changes,
        [
            .. RunFacts.Of(settings, kubectl, changes.Select(c => (c.Proxy, c.MachineLoad))),
            $"{ChangeLoad.LongTcp} TCP connections and {ChangeLoad.LongUdp} UDP flows that last, a checked message every 50 ms on each; " +
                $"{ChangeLoad.NewTcpPerSecond} new TCP connections and {ChangeLoad.NewUdpPerSecond} new UDP questions a second",
        ]), true);
    }

    return (Report.Of(columns,
    [
        .. RunFacts.Of(settings, kubectl, columns.Select(c => (c.Proxy, c.MachineLoad))),
        $"Up to {settings.Replicas} replicas; from each of {columns[0].Reached.Select(r => r.Origin).Distinct(StringComparer.Ordinal).Count()} origins " +
            $"{Load.RequestsPerSecond} requests a second, each on a connection of its own, and one flow of datagrams, each sent when the last was answered",
    ]), columns.All(c => c.Reached.All(r => r.Outcome.StartsWith("seen", StringComparison.Ordinal))));
}

void EndInOrder(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
