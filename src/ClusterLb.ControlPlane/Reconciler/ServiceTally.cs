using System.Collections.Immutable;
using System.Runtime.InteropServices;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What is told of all services together, kept up as one after the other is compiled: health checks, missing local backends, what
/// became of hints, and external IPs.</summary>
internal sealed class ServiceTally
{
    private readonly Dictionary<ObjectName, NoLocalBackends> _lacking = []; // of services that lack some

    private readonly Dictionary<ObjectName, Dictionary<ServicePortKey, TopologyDecision>> _topology = []; // of services with hints

    private readonly Dictionary<ObjectName, ImmutableArray<IpAddr>> _externalIps = []; // of services that have some

    /// <summary>Raised for a service whose external IPs are new or others than before.</summary>
    public event Action<ObjectName, ImmutableArray<IpAddr>>? ExternalIpsSeen;

    /// <summary>Raised for a service port whose hints are used otherwise than before, or not used for another reason than before.</summary>
    public event Action<ServicePortKey, TopologyDecision>? TopologyDecided;

    /// <summary>Services with a health check node port.</summary>
    public ImmutableDictionary<ObjectName, ServiceHealth> HealthChecks { get; private set; } = ImmutableDictionary<ObjectName, ServiceHealth>.Empty;

    /// <summary>The sum over all services.</summary>
    public NoLocalBackends NoLocal { get; private set; }

    /// <summary>Replaces what was counted of the service.</summary>
    public void Count(ServiceImage image)
    {
        HealthChecks = image.Health is { } health ? HealthChecks.SetItem(image.Service, health) : HealthChecks.Remove(image.Service);

        _lacking.Remove(image.Service, out NoLocalBackends before);
        NoLocalBackends now = LackingOf(image);
        NoLocal = NoLocal - before + now;
        if (now != default)
        {
            _lacking.Add(image.Service, now);
        }

        CountTopology(image);
        CountExternalIps(image);
    }

    private void CountExternalIps(ServiceImage image)
    {
        _externalIps.Remove(image.Service, out ImmutableArray<IpAddr> before);
        if (image.ExternalIps.IsEmpty)
        {
            return;
        }

        _externalIps.Add(image.Service, image.ExternalIps);
        if (before.IsDefault || !before.AsSpan().SequenceEqual(image.ExternalIps.AsSpan()))
        {
            ExternalIpsSeen?.Invoke(image.Service, image.ExternalIps);
        }
    }

    private void CountTopology(ServiceImage image)
    {
        _topology.Remove(image.Service, out Dictionary<ServicePortKey, TopologyDecision>? before);
        foreach (ServicePortImage port in image.Ports)
        {
            if (port.Topology is not { } decision)
            {
                continue;
            }

            (CollectionsMarshal.GetValueRefOrAddDefault(_topology, image.Service, out _) ??= [])[port.Key] = decision;
            TopologyDecision? last = before?.GetValueOrDefault(port.Key);

            // How many endpoints are left of how many changes with each of them, and is no news.
            if (last?.Mode != decision.Mode || (decision.Mode == TopologyMode.Off && last.Why != decision.Why))
            {
                TopologyDecided?.Invoke(port.Key, decision);
            }
        }
    }

    private static NoLocalBackends LackingOf(ServiceImage image)
    {
        NoLocalBackends sum = default;
        foreach (ServicePortImage port in image.Ports)
        {
            int inside = port.LacksInternalLocal ? 1 : 0;
            int outside = port.LacksExternalLocal ? 1 : 0;
            sum += port.Key.IsIpv4 ? new NoLocalBackends(inside, 0, outside, 0) : new NoLocalBackends(0, inside, 0, outside);
        }

        return sum;
    }
}
