using System.Collections.Immutable;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>v1 Node: addresses, zone, pod CIDRs, and whether it is about to go.</summary>
internal static class NodeReader
{
    private const string ZoneLabel = "topology.kubernetes.io/zone";
    private const string DrainTaint = "ToBeDeletedByClusterAutoscaler";

    public static KubernetesObject Read(JsonElement item, JsonElement metadata, ReadContext context)
    {
        JsonElement spec = item.Field("spec");
        bool isTainted = spec.Items("taints").Any(t => t.TryText("key", out string? key) && key == DrainTaint);
        return context.Good(new LocalNode
        {
            Name = context.Name.Name,
            Zone = context.Shared(metadata.Field("labels"), ZoneLabel),
            Addresses = [.. ReadAddresses(item, "InternalIP", context), .. ReadAddresses(item, "ExternalIP", context)],
            PodRanges = ReadPodRanges(spec, context),
            IsDraining = isTainted || metadata.TryField("deletionTimestamp", out _),
        });
    }

    private static IEnumerable<IpAddr> ReadAddresses(JsonElement item, string type, ReadContext context)
    {
        foreach (JsonElement entry in item.Field("status").Items("addresses"))
        {
            if (entry.TryText("type", out string? found) && found == type
                && context.TryAddress(entry.Field("address"), "status.addresses", out IpAddr address))
            {
                yield return address;
            }
        }
    }

    private static ImmutableArray<IpPrefix> ReadPodRanges(JsonElement spec, ReadContext context)
    {
        JsonElement[] fields = [.. spec.Items("podCIDRs")];
        if (fields.Length == 0 && spec.TryField("podCIDR", out JsonElement single))
        {
            fields = [single];
        }

        var ranges = ImmutableArray.CreateBuilder<IpPrefix>(fields.Length);
        foreach (JsonElement field in fields)
        {
            if (context.TryPrefix(field, "spec.podCIDRs", out IpPrefix range))
            {
                ranges.Add(range);
            }
        }

        return ranges.DrainToImmutable();
    }
}
