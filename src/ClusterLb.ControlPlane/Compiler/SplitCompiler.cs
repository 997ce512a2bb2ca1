using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Gives the frontends of a service the endpoints of another one beside their own, for a share of the new connections.</summary>
/// <remarks>Policies, hints and terminating fallback choose among the other service's endpoints as among the own ones.</remarks>
internal static class SplitCompiler
{
    /// <summary>The image with the split that the service asks for; the same image if it asks for none that is possible.</summary>
    public static ServicePortImage Apply(ServicePortImage image, ServiceState state, NodeView node)
    {
        if (state.Service?.Split is not { } split || state.Canary is not { Service: { } other } canary || !HasPort(other, image.Key))
        {
            return image;
        }

        BackendSets sets = BackendSets.Of(
            canary.Slices, image.Key.PortName, image.Key.Protocol, image.Key.IsIpv4, node.Name, node.Zone);
        if (!sets.AnyUsable)
        {
            return image; // all to the service's own endpoints
        }

        return image with
        {
            Serving = Both(image.Serving, sets.Serving),
            NotServing = [.. image.NotServing.Union(sets.NotServing)],
            Frontends = [.. image.Frontends.Select(frontend => Apply(frontend, sets, (uint)split.Percent))],
        };
    }

    /// <summary>Why the split, or a part of it, is not done; null if all is well.</summary>
    public static IEnumerable<ObjectProblem> Notices(ServiceState state)
    {
        if (state.Service is not { Split: { } split } service)
        {
            return [];
        }

        string what = $"{split.Canary.Name}={split.Percent}";
        if (state.Canary?.Service is not { } other)
        {
            return [Notice($"the split {what} is ignored: there is no proxied service {split.Canary}; all connections go to the service's own endpoints")];
        }

        return service.Ports.Where(port => !Has(other, port.Name, port.Protocol)).Select(port => Notice(
            $"the split {what} is ignored for port {(port.Name.Length == 0 ? port.Port : port.Name)}/{port.Protocol.ToString().ToUpperInvariant()}: " +
            $"service {split.Canary} has no port of this name and protocol"));

        ObjectProblem Notice(string reason) => new(
            "", "Service", service.Name, TrafficSplit.Field, reason, ProblemEffect.AnnotationIgnored);
    }

    private static FrontendImage Apply(FrontendImage frontend, BackendSets sets, uint percent)
    {
        BackendKey[] slots = SlotsOf(LookupScope.External);
        BackendKey[] inside = frontend.Flags.HasFlag(ServiceFlags.TwoScopes) ? SlotsOf(LookupScope.Internal) : [];
        FrontendImage served = frontend with { Flags = frontend.Flags | ServiceFlags.EndpointsExist };
        return slots.Length + inside.Length == 0
            ? served
            : served with { SharePercent = percent, CanarySlots = slots, InternalCanarySlots = inside };

        BackendKey[] SlotsOf(LookupScope scope) =>
            MaglevKey.Of(new ServiceEntry { Flags = frontend.Flags }, scope).Set.HasFlag(BackendSetKind.Local) ? sets.Local : sets.Cluster;
    }

    /// <summary>A pod that both services select serves once, as the better of the two says.</summary>
    private static BackendImage[] Both(IReadOnlyList<BackendImage> own, BackendImage[] others) =>
        [.. own.Concat(others).GroupBy(backend => backend.Key).Select(same => same.MinBy(backend => backend.State))];

    private static bool HasPort(Service other, ServicePortKey port) => Has(other, port.PortName, port.Protocol);

    private static bool Has(Service other, string name, IpProtocol protocol) =>
        other.Ports.Any(port => port.Protocol == protocol && string.Equals(port.Name, name, StringComparison.Ordinal));
}
