using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace ClusterLb.ControlPlane.Model;

/// <content>How services, slices and shares of connections hang together. Callers hold the lock.</content>
public sealed partial class ClusterStateStore
{
    private static Families FamiliesOf(Service? service) => service?.Families ?? Families.None;

    private static bool HasHints(ServiceState state) =>
        state.Slices.Any(slice => slice.Backends.Any(backend => backend.Hints is not null));

    /// <summary>The service, and those that send a share of their connections to its endpoints.</summary>
    private void MarkChanged(ObjectName name)
    {
        _changed.Add(name);
        if (_splitters.TryGetValue(name, out HashSet<ObjectName>? splitters))
        {
            _changed.UnionWith(splitters);
        }
    }

    private void FollowSplit(ObjectName service, TrafficSplit? before, TrafficSplit? now)
    {
        if (before == now)
        {
            return;
        }

        if (before is not null && _splitters.TryGetValue(before.Canary, out HashSet<ObjectName>? splitters) && splitters.Remove(service)
            && splitters.Count == 0)
        {
            _splitters.Remove(before.Canary);
        }

        if (now is not null)
        {
            (CollectionsMarshal.GetValueRefOrAddDefault(_splitters, now.Canary, out _) ??= []).Add(service);
        }
    }

    private ServiceState Known(ObjectName name) =>
        _services.TryGetValue(name, out ServiceState? state) ? state : new ServiceState(name, null, []);

    private ref ServiceState? StateOf(ObjectName name)
    {
        ref ServiceState? state = ref CollectionsMarshal.GetValueRefOrAddDefault(_services, name, out _);
        state ??= new ServiceState(name, null, []);
        return ref state;
    }

    private BackendSlice Detach(ObjectName slice, ObjectName service)
    {
        ServiceState state = _services[service];
        int at = IndexOf(state.Slices, slice);
        Pending.QueueSlice(state.Slices[at].IsIpv4 ? Families.Ipv4 : Families.Ipv6, terminating: 0);
        Keep(state with { Slices = state.Slices.RemoveAt(at) });
        return state.Slices[at];
    }

    /// <summary>The first list is no change: it is what there was before anybody looked.</summary>
    private void Observe(ObservedChange change)
    {
        if (!_sourceComplete)
        {
            _firstReceived = _firstReceived == 0 ? change.Times.Received : _firstReceived;
        }
        else if (_observed.Count < MostObserved)
        {
            long now = _time.GetTimestamp();
            long received = change.Times.Received == 0 ? now : change.Times.Received;
            _observed.Add(change with { Times = change.Times with { Received = received }, Queued = now, Paused = GC.GetTotalPauseDuration() });
        }
    }

    private void Keep(ServiceState state)
    {
        MarkChanged(state.Name);
        if (state.Service is null && state.Slices.IsEmpty)
        {
            _services.Remove(state.Name);
        }
        else
        {
            _services[state.Name] = state;
        }
    }

    /// <summary>Where the slice is, or the complement of where it belongs.</summary>
    private static int IndexOf(ImmutableArray<BackendSlice> slices, ObjectName name)
    {
        for (int i = 0; i < slices.Length; i++)
        {
            int order = slices[i].Name.CompareTo(name);
            if (order >= 0)
            {
                return order == 0 ? i : ~i;
            }
        }

        return ~slices.Length;
    }
}
