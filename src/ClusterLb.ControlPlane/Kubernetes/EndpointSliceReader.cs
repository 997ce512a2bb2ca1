using System.Collections.Immutable;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>discovery.k8s.io/v1 EndpointSlice. An endpoint that is wrong is reported and left out, the rest is served.</summary>
internal static class EndpointSliceReader
{
    private const string ServiceNameLabel = "kubernetes.io/service-name";
    private const string HeadlessLabel = "service.kubernetes.io/headless";
    private const string TriggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

    public static KubernetesObject Read(JsonElement item, JsonElement metadata, ReadContext context)
    {
        JsonElement labels = metadata.Field("labels");
        if (labels.TryField(ServiceReader.ProxyNameLabel, out _) || labels.TryField(HeadlessLabel, out _)
            || !labels.TryText(ServiceNameLabel, out string? service) || service.Length == 0)
        {
            return context.Ignored(); // R1, R8
        }

        JsonElement addressType = item.Field("addressType");
        switch (addressType.ValueKind == JsonValueKind.String ? addressType.GetString() : null)
        {
            case "FQDN":
                return context.Ignored();
            case "IPv4" or "IPv6":
                break;
            default:
                context.Report("addressType", $"{addressType.Shown()} is not IPv4, IPv6 or FQDN; the slice is skipped");
                return context.Bad();
        }

        bool isIpv4 = addressType.ValueEquals("IPv4");
        ImmutableArray<BackendPort> ports = [.. ReadPorts(item, context)];
        ImmutableArray<Backend> backends = [.. ReadBackends(item, isIpv4, context)];
        bool isHollow = (ports.Length == 0 && item.Items("ports").Any()) || (backends.Length == 0 && item.Items("endpoints").Any());
        var slice = new BackendSlice
        {
            Name = context.Name,
            Service = new ObjectName(context.Name.Namespace, service),
            IsIpv4 = isIpv4,
            Ports = ports,
            Backends = backends,
            Times = new ChangeTimes(ReadTriggerTime(metadata), context.Received),
        };
        return context.Good(slice) with { IsHollow = isHollow };
    }

    private static DateTimeOffset? ReadTriggerTime(JsonElement metadata) =>
        metadata.Field("annotations").TryField(TriggerTimeAnnotation, out JsonElement time) && time.ValueKind == JsonValueKind.String
        && time.TryGetDateTimeOffset(out DateTimeOffset at) ? at : null;

    private static IEnumerable<BackendPort> ReadPorts(JsonElement item, ReadContext context)
    {
        int index = 0;
        foreach (JsonElement port in item.Items("ports"))
        {
            string path = $"ports[{index++}]";
            if (!port.TryField("name", out JsonElement name) || name.ValueKind != JsonValueKind.String)
            {
                context.Report(path + ".name", "missing (an unnamed port has the name \"\"); the port is skipped");
            }
            else if (context.TryPort(port.Field("port"), path + ".port", out ushort number)
                && context.TryProtocol(port, path, out IpProtocol protocol))
            {
                yield return new BackendPort(context.Shared(port, "name"), protocol, number);
            }
        }
    }

    private static IEnumerable<Backend> ReadBackends(JsonElement slice, bool isIpv4, ReadContext context)
    {
        int index = 0;
        foreach (JsonElement endpoint in slice.Items("endpoints"))
        {
            string item = $"endpoints[{index++}]";
            string path = item + ".addresses[0]";
            if (!context.TryAddress(endpoint.Items("addresses").FirstOrDefault(), path, out IpAddr address))
            {
                continue;
            }

            if (address.IsIpv4 != isIpv4)
            {
                context.Report(path, $"{address} is not of the slice's addressType; it is skipped");
                continue;
            }

            yield return new Backend(address, ReadConditions(endpoint, item, context), context.Shared(endpoint, "nodeName"), ReadHints(endpoint, context));
        }
    }

    /// <summary>Unset ready and serving count as true, unset terminating as false (R6).</summary>
    private static BackendConditions ReadConditions(JsonElement endpoint, string path, ReadContext context)
    {
        JsonElement conditions = endpoint.Field("conditions");
        bool isReady = ReadCondition("ready", otherwise: true);
        bool isServing = ReadCondition("serving", otherwise: true);
        bool isTerminating = ReadCondition("terminating", otherwise: false);
        return (isReady ? BackendConditions.Ready : BackendConditions.None)
            | (isServing ? BackendConditions.Serving : BackendConditions.None)
            | (isTerminating ? BackendConditions.Terminating : BackendConditions.None);

        bool ReadCondition(string name, bool otherwise)
        {
            if (conditions.TryBool(name, out bool value))
            {
                return value;
            }

            if (conditions.TryField(name, out JsonElement field))
            {
                context.Report($"{path}.conditions.{name}", $"{field.Shown()} is neither true nor false; it counts as unset", ProblemEffect.TakenDifferently);
            }

            return otherwise;
        }
    }

    private static TopologyHints? ReadHints(JsonElement endpoint, ReadContext context)
    {
        if (!endpoint.TryField("hints", out JsonElement hints))
        {
            return null;
        }

        ImmutableArray<string> nodes = [.. hints.Items("forNodes").Select(n => context.Shared(n, "name"))];
        ImmutableArray<string> zones = [.. hints.Items("forZones").Select(z => context.Shared(z, "name"))];
        return nodes.IsEmpty && zones.IsEmpty ? null : new TopologyHints(nodes, zones);
    }
}
