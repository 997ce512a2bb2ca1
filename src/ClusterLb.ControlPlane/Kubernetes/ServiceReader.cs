using System.Collections.Immutable;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>v1 Service. A part that is wrong is reported and left out, the rest is served.</summary>
internal static class ServiceReader
{
    /// <summary>Somebody else proxies objects with this label, whatever its value (R1).</summary>
    public const string ProxyNameLabel = "service.kubernetes.io/service-proxy-name";

    private const int DefaultAffinitySeconds = 10_800; // what the API server fills in
    private const int MaxAffinitySeconds = 86_400;
    private const int MaxPortNameLength = 63; // bytes of a DNS label

    public static KubernetesObject Read(JsonElement item, JsonElement metadata, ReadContext context)
    {
        JsonElement spec = item.Field("spec");
        JsonElement typeField = spec.Field("type");
        string type = spec.TryText("type", out string? given) ? given : typeField.ValueKind == JsonValueKind.Undefined ? "ClusterIP" : "";
        if (metadata.Field("labels").TryField(ProxyNameLabel, out _) || type == "ExternalName" || IsHeadless(spec))
        {
            return context.Ignored();
        }

        ServiceType? known = type switch
        {
            "ClusterIP" => ServiceType.ClusterIP,
            "NodePort" => ServiceType.NodePort,
            "LoadBalancer" => ServiceType.LoadBalancer,
            _ => null,
        };
        if (known is not { } serviceType)
        {
            context.Report("spec.type", $"{typeField.Shown()} is no service type; the service is skipped");
            return context.Bad();
        }

        ImmutableArray<IpAddr> clusterIps = ReadClusterIps(spec, context);
        ImmutableArray<ServicePort> ports = ReadPorts(spec, context);
        if (clusterIps.IsEmpty || ports.IsEmpty)
        {
            context.Report("", $"no usable {(clusterIps.IsEmpty ? "ClusterIP" : "port")} is left; the service is skipped");
            return context.Bad();
        }

        ServiceAnnotations.ReportUnknown(metadata, context);
        return context.Good(new Service
        {
            Name = context.Name,
            CreatedAt = metadata.TryField("creationTimestamp", out JsonElement created) && created.ValueKind == JsonValueKind.String
                && created.TryGetDateTimeOffset(out DateTimeOffset at) ? at : default,
            Type = serviceType,
            ClusterIps = clusterIps,
            Ports = ports,
            ExternalIps = [.. ReadAddresses(ExternalIps(spec), clusterIps, context)],
            LoadBalancerIps = [.. ReadAddresses(Vips(item, context), clusterIps, context)],
            SourceRanges = [.. ReadSourceRanges(spec, context)],
            InternalTrafficPolicy = ReadPolicy(spec, "internalTrafficPolicy", context),
            ExternalTrafficPolicy = ReadPolicy(spec, "externalTrafficPolicy", context),
            AffinitySeconds = ReadAffinity(spec, context),
            Algorithm = ServiceAnnotations.ReadAlgorithm(metadata, context),
            BackendGone = ServiceAnnotations.ReadBackendGone(metadata, context),
            Split = ServiceAnnotations.ReadSplit(metadata, context),
            Times = new ChangeTimes(null, context.Received),
            HealthCheckNodePort = ReadHealthCheckNodePort(spec, context),
        });
    }

    private static bool IsHeadless(JsonElement spec)
    {
        bool hasOne = spec.TryText("clusterIP", out string? single) && single.Length > 0;
        return single == "None"
            || (!hasOne && !spec.Items("clusterIPs").Any())
            || spec.Items("clusterIPs").Any(ip => ip.ValueKind == JsonValueKind.String && ip.ValueEquals("None"));
    }

    private static ImmutableArray<IpAddr> ReadClusterIps(JsonElement spec, ReadContext context)
    {
        bool isList = spec.Items("clusterIPs").Any();
        JsonElement[] fields = isList ? [.. spec.Items("clusterIPs")] : [spec.Field("clusterIP")];
        var addresses = ImmutableArray.CreateBuilder<IpAddr>(2);
        for (int i = 0; i < fields.Length; i++)
        {
            string path = isList ? $"spec.clusterIPs[{i}]" : "spec.clusterIP";
            if (!context.TryAddress(fields[i], path, out IpAddr address))
            {
                continue;
            }

            if (addresses.Any(a => a.IsIpv4 == address.IsIpv4))
            {
                context.Report(path, $"{address} is a second address of its family; it is skipped");
                continue;
            }

            addresses.Add(address);
        }

        return addresses.DrainToImmutable();
    }

    private static ImmutableArray<ServicePort> ReadPorts(JsonElement spec, ReadContext context)
    {
        var ports = ImmutableArray.CreateBuilder<ServicePort>();
        int index = 0;
        foreach (JsonElement item in spec.Items("ports"))
        {
            string path = $"spec.ports[{index++}]";
            if (!context.TryPort(item.Field("port"), path + ".port", out ushort number)
                || !context.TryProtocol(item, path, out IpProtocol protocol))
            {
                continue;
            }

            string name = context.Shared(item, "name");
            ushort nodePort = 0;
            if (item.TryField("nodePort", out JsonElement field) && !(field.ValueKind == JsonValueKind.Number && field.TryGetUInt16(out nodePort)))
            {
                context.Report(path + ".nodePort", $"{field.Shown()} is not a port number; the service port has no node port");
            }

            if (nodePort != 0 && ports.Any(p => p.NodePort == nodePort && p.Protocol == protocol))
            {
                context.Report(path + ".nodePort", $"a second port with node port {nodePort}/{protocol.ToString().ToUpperInvariant()}; it has none");
                nodePort = 0;
            }

            if (name.Length > MaxPortNameLength)
            {
                context.Report(path + ".name", $"longer than {MaxPortNameLength} characters; the port is skipped");
            }
            else if (ports.Any(p => p.Port == number && p.Protocol == protocol))
            {
                context.Report(path, $"a second port {number}/{protocol.ToString().ToUpperInvariant()}; it is skipped");
            }
            else if (ports.Any(p => p.Name == name && p.Protocol == protocol))
            {
                context.Report(path, $"a second {protocol.ToString().ToUpperInvariant()} port named '{name}'; it is skipped");
            }
            else
            {
                ports.Add(new ServicePort(name, protocol, number, nodePort));
            }
        }

        return ports.DrainToImmutable();
    }

    /// <summary>Addresses of the families that the service takes part in (R2).</summary>
    private static IEnumerable<IpAddr> ReadAddresses(
        IEnumerable<(string Path, JsonElement Field)> fields, ImmutableArray<IpAddr> clusterIps, ReadContext context)
    {
        foreach ((string path, JsonElement field) in fields)
        {
            if (!context.TryAddress(field, path, out IpAddr address))
            {
                continue;
            }

            if (clusterIps.Any(ip => ip.IsIpv4 == address.IsIpv4))
            {
                yield return address;
            }
            else
            {
                context.Report(path, $"{address} is of a family in which the service has no ClusterIP; it is skipped");
            }
        }
    }

    private static IEnumerable<(string Path, JsonElement Field)> ExternalIps(JsonElement spec) =>
        spec.Items("externalIPs").Select((field, index) => ($"spec.externalIPs[{index}]", field));

    /// <summary>With ipMode Proxy an address is left alone entirely: traffic to it shall go out to the load balancer (R3).</summary>
    private static IEnumerable<(string Path, JsonElement Field)> Vips(JsonElement item, ReadContext context)
    {
        int index = 0;
        foreach (JsonElement ingress in item.Field("status", "loadBalancer").Items("ingress"))
        {
            string path = $"status.loadBalancer.ingress[{index++}]";
            string mode = ingress.TryText("ipMode", out string? given) ? given : "VIP";
            if (mode is not ("VIP" or "Proxy"))
            {
                context.Report(path + ".ipMode", $"'{mode}' is unknown; the address is skipped");
            }

            // Without an address there may be a host name: that one leads elsewhere.
            bool isEmpty = !ingress.TryField("ip", out JsonElement ip) || (ip.ValueKind == JsonValueKind.String && ip.ValueEquals(""));
            if (mode == "VIP" && !isEmpty)
            {
                yield return (path + ".ip", ip);
            }
        }
    }

    private static ushort ReadHealthCheckNodePort(JsonElement spec, ReadContext context)
    {
        ushort port = 0;
        if (spec.TryField("healthCheckNodePort", out JsonElement field) && !(field.ValueKind == JsonValueKind.Number && field.TryGetUInt16(out port)))
        {
            context.Report("spec.healthCheckNodePort", $"{field.Shown()} is not a port number; the service has no health check");
        }

        return port;
    }

    private static IEnumerable<IpPrefix> ReadSourceRanges(JsonElement spec, ReadContext context)
    {
        int index = 0;
        bool isLimited = false;
        foreach (JsonElement field in spec.Items("loadBalancerSourceRanges"))
        {
            if (context.TryPrefix(field, $"spec.loadBalancerSourceRanges[{index++}]", out IpPrefix range))
            {
                isLimited = true;
                yield return range;
            }
        }

        if (index > 0 && !isLimited)
        {
            context.Report("spec.loadBalancerSourceRanges", "no valid range is left: everyone is let in", ProblemEffect.TakenDifferently);
        }
    }

    private static TrafficPolicy ReadPolicy(JsonElement spec, string name, ReadContext context)
    {
        if (!spec.TryField(name, out JsonElement field) || field is { ValueKind: JsonValueKind.String } && field.ValueEquals("Cluster"))
        {
            return TrafficPolicy.Cluster;
        }

        if (field.ValueKind == JsonValueKind.String && field.ValueEquals("Local"))
        {
            return TrafficPolicy.Local;
        }

        if (field.ValueKind != JsonValueKind.String || !field.ValueEquals("")) // empty means unset
        {
            context.Report("spec." + name, $"{field.Shown()} is not Cluster or Local; it is taken as Cluster", ProblemEffect.TakenDifferently);
        }

        return TrafficPolicy.Cluster;
    }

    private static int ReadAffinity(JsonElement spec, ReadContext context)
    {
        string mode = spec.TryText("sessionAffinity", out string? given) ? given : "None";
        if (mode is "None" or "")
        {
            return 0;
        }

        if (mode != "ClientIP")
        {
            context.Report("spec.sessionAffinity", $"'{mode}' is not None or ClientIP; it is taken as None", ProblemEffect.TakenDifferently);
            return 0;
        }

        if (!spec.Field("sessionAffinityConfig", "clientIP").TryField("timeoutSeconds", out JsonElement field))
        {
            return DefaultAffinitySeconds;
        }

        if (field.ValueKind == JsonValueKind.Number && field.TryGetInt32(out int seconds) && seconds is > 0 and <= MaxAffinitySeconds)
        {
            return seconds;
        }

        context.Report(
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            $"{field.Shown()} is not from 1 to {MaxAffinitySeconds}; it is taken as {DefaultAffinitySeconds}", ProblemEffect.TakenDifferently);
        return DefaultAffinitySeconds;
    }
}
