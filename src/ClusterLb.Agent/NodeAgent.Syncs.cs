using System.Collections.Immutable;
using ClusterLb.Agent.Metrics;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <content>What follows from a problem of an object, and from a sync: who else has to know, and what is told.</content>
public sealed partial class NodeAgent
{
    /// <summary>A change touches a few pages, and the kernel maps the fifteen around each: 200 KiB, which nobody needs for the next one.</summary>
    private const int SyncsBetweenTrims = 16;

    private long _resyncsSeen; // of the reconcile loop's thread
    private int _syncsSinceTrim; // of the reconcile loop's thread
    private string _fullMaps = ""; // as last told; of the reconcile loop's thread

    private void OnProblem(ObjectProblem problem)
    {
        switch (problem.Effect)
        {
            case ProblemEffect.AnnotationIgnored:
                _log.LogWarning("Annotation ignored {Problem}", problem.ToString());
                break;
            case ProblemEffect.TakenDifferently:
                _log.LogWarning("Taken differently {Problem}", problem.ToString());
                break;
            default:
                _log.LogWarning("Not served {Problem}", problem.ToString());
                break;
        }

        if (problem is { Kind: ObjectReader.ServiceKind or ObjectReader.SliceKind or ObjectReader.NodeKind, Name.Name: not (null or "" or "?") })
        {
            string field = problem.Field.Length == 0 ? "" : problem.Field + ": ";
            _source.Events.Warn(problem.Kind, problem.Name, problem.Effect.ToString(), field + problem.Reason);
        }
    }

    /// <summary>Hints that cannot be used are nobody's intention; that they are used is what everybody expects.</summary>
    private void OnTopologyDecided(ServicePortKey port, TopologyDecision decision) => _log.Log(
        decision.Mode == TopologyMode.Off ? LogLevel.Information : LogLevel.Debug,
        "Topology hints {ServicePortName} {IpFamily} {Mode} {Reason}",
        port.ToString(), FamilyLabel.Of(port.IsIpv4).Value, decision.Mode.ToString(), decision.Why);

    private void OnExternalIpsSeen(ObjectName service, ImmutableArray<IpAddr> addresses)
    {
        const string setting = "loadBalancer.externalIPs in ClusterLbConfiguration";
        string listed = string.Join(',', addresses);
        if (_options.ServesExternalIps)
        {
            _log.LogWarning(
                "External IPs served {Service} {Addresses} {Reason}", service.ToString(), listed,
                $"whoever may write Services can take the traffic to any address (CVE-2020-8554); {setting} turns them off");
            return;
        }

        _log.LogWarning("External IPs not served {Service} {Addresses} {Reason}", service.ToString(), listed, $"{setting} is false");
        _source.Events.Warn(ObjectReader.ServiceKind, service, "ExternalIPsNotServed", $"{listed}: external IPs are turned off on the nodes ({setting})");
    }

    // The stems and keys are those of kube-proxy, which has a pass for each family where we have one.
    private void OnSyncing(bool isFull)
    {
        if (_log.IsEnabled(LogLevel.Debug))
        {
            foreach (string family in FamilyLabel.NamesOf(isFull ? Families.Both : _store.Pending.Writing))
            {
                _log.LogDebug("Syncing rules {IpFamily} {FullSync}", family, isFull);
            }
        }
    }

    private void OnSynced(ReconcileStatus status)
    {
        _maps.Reclaim();
        bool isFull = status.Resyncs != _resyncsSeen;
        _syncsSinceTrim++;
        if (isFull || _syncsSinceTrim == SyncsBetweenTrims)
        {
            _resyncsSeen = status.Resyncs;
            _syncsSinceTrim = 0;
            Trim(isFirst: isFull && status.Resyncs == 1);
        }

        _healthPorts.SetServices(status.HealthChecks);
        _healthPorts.SetNetwork(_store.Network, _store.Node);
        _steeringLoop.OnSynced(status);
        TellOfFullMaps(status);
        if (status.LastError is { } error)
        {
            _log.LogError("Sync failed, will try again {Reason}", error);
            return;
        }

        if (!status.IsSynced)
        {
            _log.LogDebug("Not syncing until all Services and EndpointSlices have been received");
            return;
        }

        Families written = isFull ? Families.Both : _store.Pending.LastWritten;
        _metrics.RecordSync(status.LastDuration, written, isFull);
        if (_log.IsEnabled(LogLevel.Debug))
        {
            _log.LogDebug("Reloading service data {NumServices} {NumEndpoints}", status.Services, status.Backends);
            foreach (string family in FamilyLabel.NamesOf(written))
            {
                _log.LogDebug("SyncProxyRules complete {IpFamily} {Elapsed}", family, status.LastDuration);
            }
        }
    }

    /// <summary>Gives back what only the last syncs needed: pages of the maps, which stay in memory for the dataplane, and garbage. Here, between
    /// two syncs, nobody waits; in the middle of a change it would take longer than all else (measured: 1.2 ms).</summary>
    private void Trim(bool isFirst)
    {
        _maps.ForgetPages();
        if (isFirst)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        else
        {
            GC.Collect(generation: 1, GCCollectionMode.Forced, blocking: true);
        }
    }

    /// <summary>A map that is full leaves services without backends: a line and an event whenever that changes, not with every sync.</summary>
    private void TellOfFullMaps(ReconcileStatus status)
    {
        string now = status.FullMaps.IsEmpty ? "" : string.Join(", ", status.FullMaps);
        if (now == _fullMaps)
        {
            return;
        }

        _fullMaps = now;
        if (now.Length == 0)
        {
            _log.LogInformation("Maps have room again, all services are served completely");
            return;
        }

        _log.LogError("Maps are full, some services are not served completely {Maps} {Services}", status.FullMaps, status.IncompleteServices);
        _source.Events.Warn(
            ObjectReader.NodeKind, new ObjectName("", _options.NodeName), "MapFull",
            $"{now}: no room, {status.IncompleteServices} services are not served completely on this node; raise maps in ClusterLbConfiguration");
    }
}
