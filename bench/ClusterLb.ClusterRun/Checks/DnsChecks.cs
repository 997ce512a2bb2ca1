namespace ClusterLb.ClusterRun.Checks;

/// <summary>The cluster's DNS and the API server, which pods reach as services.</summary>
internal sealed class DnsChecks : ICheckGroup
{
    public string Name => "DNS and API server";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("named");
        bed.Service("headless", "{clusterIP: None, selector: {app: server}, ports: [{name: web, port: 8080}]}");
        bed.Service("alias", "{type: ExternalName, externalName: kubernetes.default.svc.cluster.local}");
        string zone = $"{CheckBed.Namespace}.svc.cluster.local";
        string address = service.At().Address.ToString();
        foreach (string pod in (string[])["c1", "c2"])
        {
            await DigAsync(pod, "a service, UDP", $"+notcp +search named.{zone} A", s => s == address);
            await DigAsync(pod, "a service, TCP", $"+tcp named.{zone} A", s => s == address);
            await DigAsync(pod, "a service, IPv6", $"+notcp named.{zone} AAAA", s => s == service.At6().Address.ToString());
            await DigAsync(pod, "the API server", "+search kubernetes.default A", s => s.Length > 0);
            await DigAsync(pod, "a port of a service (SRV)", $"_web._tcp.named.{zone} SRV", s => s.Contains($" 80 named.{zone}.", StringComparison.Ordinal));
            await DigAsync(pod, "the pods of a headless service", $"headless.{zone} A", s => s.Split('\n').Length == bed.AllServers.Count);
            await DigAsync(pod, "a port of a headless service (SRV)", $"_web._tcp.headless.{zone} SRV", s => s.Split('\n').Length == bed.AllServers.Count);
            await DigAsync(pod, "a name for another name", $"alias.{zone} CNAME", s => s == "kubernetes.default.svc.cluster.local.");
            await DigAsync(pod, "an address, backwards", $"-x {address}", s => s == $"named.{zone}.");
            await list.CheckAsync($"{pod}: a service by its short name", () => Probe.HoldsAsync("curl", () =>
                Task.FromResult(bed.AllServers.Contains(bed.Exec(pod, "curl -s --connect-timeout 5 http://named/hostname || true").Trim()) ? "" : "no pod answered")));
            await list.CheckAsync($"{pod}: the API server by its service", () => Probe.HoldsAsync("curl", () =>
                Task.FromResult(bed.Exec(pod, "curl -sk --connect-timeout 5 https://kubernetes.default.svc/version || true") is var said
                    && said.Contains("gitVersion", StringComparison.Ordinal) ? "" : $"'{said}'")));
        }

        Task DigAsync(string pod, string what, string question, Func<string, bool> isRight) => list.CheckAsync($"{pod}: {what}", () => Probe.HoldsAsync($"dig {question}", () =>
        {
            string said = bed.Exec(pod, $"dig +short +time=2 +tries=2 {question} || true").Trim();
            return Task.FromResult(isRight(said) ? "" : $"'{said}'");
        }));
    }
}
