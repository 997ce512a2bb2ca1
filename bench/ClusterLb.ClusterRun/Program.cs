using System.Globalization;
using ClusterLb.ClusterRun;
using ClusterLb.Lab.Stage;

// A Deployment on a real cluster, reached, scaled, rolled out and killed under load, with ClusterLb and with kube-proxy on the
// nodes. Arguments: the file to write the report to. What it needs to know: docs/cluster.md.
string folder = Directory.CreateTempSubdirectory("clusterlb-cluster-").FullName;
try
{
    ClusterSettings settings = ClusterSettings.Read();
    var kubectl = new Kubectl(settings);
    var service = new ServiceUnderTest(kubectl, settings);
    var columns = new List<ColumnResult>();
    using var outside = new OutsideRoute(settings, kubectl);
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
            IServiceProxy proxy = column == "clusterlb" ? new ClusterLbProxy(settings, kubectl, folder) : new KubeProxy(settings, column, folder);
            Console.WriteLine($"{proxy.Name}, {DateTime.Now:HH:mm:ss}, load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}");
            columns.Add(await new Scenario(settings, service, origins, Console.WriteLine).RunAsync(proxy));
        }
    }
    finally
    {
        service.Delete();
    }

    string version = (string?)System.Text.Json.Nodes.JsonNode.Parse(kubectl.Run("version", "-o", "json"))?["serverVersion"]?["gitVersion"] ?? "?";
    string report = Report.Of(columns,
    [
        $"Kubernetes {version}, {settings.Nodes.Count} nodes, up to {settings.Replicas} replicas; {DateTime.Now.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}",
        $"{Environment.ProcessorCount} processors for nodes, load and all; load average at the end {File.ReadAllText("/proc/loadavg").Split(' ')[0]}",
    ]);
    Console.WriteLine(report);
    if (args is [string file])
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
finally
{
    Directory.Delete(folder, recursive: true);
}
