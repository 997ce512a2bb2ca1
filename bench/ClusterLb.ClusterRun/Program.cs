using System.Globalization;
using System.Runtime.InteropServices;
using ClusterLb.ClusterRun;
using ClusterLb.ClusterRun.Changes;
using ClusterLb.Lab.Stage;

// A Deployment on a real cluster, reached, scaled, rolled out and killed under load, with ClusterLb and with kube-proxy on the
// nodes. Arguments: `changes` for the second report (what lasts while things change), and the file to write the report to.
// What it needs to know: docs/kubernetes.md, "On a real cluster".
using var folder = new RunFolder();
using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, EndInOrder);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndInOrder);
try
{
    ClusterSettings settings = ClusterSettings.Read();
    RunFolder.CleanNodes(settings);
    var kubectl = new Kubectl(settings);
    var service = new ServiceUnderTest(kubectl, settings, stop.Token);
    bool isChanges = args is ["changes", ..];
    string? file = args.Skip(isChanges ? 1 : 0).FirstOrDefault();
    var columns = new List<ColumnResult>();
    var changes = new List<ChangeColumn>();
    using var outside = new OutsideRoute(settings, kubectl);
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

        foreach (string column in settings.Columns)
        {
            IServiceProxy proxy = ProxyOf(column, settings, kubectl);
            Console.WriteLine($"{proxy.Name}, {DateTime.Now:HH:mm:ss}");
            lost.WriteLine(proxy.Name);
            if (isChanges)
            {
                changes.Add(await new ChangeScenario(service, origins, Console.WriteLine, stop.Token).RunAsync(proxy));
                continue;
            }

            columns.Add(await new Scenario(settings, service, origins, new LossLog(lost), Console.WriteLine, stop.Token).RunAsync(proxy));
        }
    }
    finally
    {
        service.Delete();
    }

    string version = (string?)System.Text.Json.Nodes.JsonNode.Parse(kubectl.Run("version", "-o", "json"))?["serverVersion"]?["gitVersion"] ?? "?";
    string[] facts =
    [
        $"{DateTime.Now.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)}; Kubernetes and kube-proxy {version}; " +
            $"{Tool.Run(settings.Program[0], [.. settings.Program.Skip(1), "version"]).Split('\n')[0].Trim()}; Linux {Environment.OSVersion.Version}",
        $"{settings.Nodes.Count} nodes on one machine with {Environment.ProcessorCount} processors for nodes, pods, control plane and load",
        "Load average before the first and after the last step: " + string.Join("; ", isChanges
            ? changes.Select(c => $"{c.Proxy} {c.MachineLoad.Before} and {c.MachineLoad.After}")
            : columns.Select(c => $"{c.Proxy} {c.MachineLoad.Before} and {c.MachineLoad.After}")),
    ];
    string report = isChanges
        ? ChangeReport.Of(changes,
        [
            .. facts,
            $"{ChangeLoad.LongTcp} TCP connections and {ChangeLoad.LongUdp} UDP flows that last, a checked message every 50 ms on each; " +
                $"{ChangeLoad.NewTcpPerSecond} new TCP connections and {ChangeLoad.NewUdpPerSecond} new UDP questions a second",
        ])
        : Report.Of(columns,
        [
            .. facts,
            $"Up to {settings.Replicas} replicas; from each of {columns[0].Reached.Select(r => r.Origin).Distinct(StringComparer.Ordinal).Count()} origins " +
                $"{Load.RequestsPerSecond} requests a second, each on a connection of its own, and one flow of datagrams, each sent when the last was answered",
        ]);
    Console.WriteLine(report);
    if (file is not null)
    {
        File.WriteAllText(file, report);
    }

    return columns.All(c => c.Reached.All(r => r.Outcome.StartsWith("seen", StringComparison.Ordinal))) ? 0 : 1;
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

IServiceProxy ProxyOf(string column, ClusterSettings settings, Kubectl kubectl) => column switch
{
    "clusterlb" => new ClusterLbProxy(settings, kubectl, folder),
    "daemonset" => new ClusterLbDaemonSet(settings, kubectl),
    _ => new KubeProxy(settings, column, folder),
};

void EndInOrder(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
