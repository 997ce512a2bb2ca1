using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>An object as it was read: its identity, what it means to us, and what is wrong with it.</summary>
/// <param name="Kind">Service, EndpointSlice or Node.</param>
/// <param name="Name">Namespace and name.</param>
/// <param name="Outcome">What to do with it.</param>
public sealed record KubernetesObject(string Kind, ObjectName Name, ReadOutcome Outcome)
{
    /// <summary>A <see cref="Service"/>, <see cref="BackendSlice"/> or <see cref="LocalNode"/>; null unless <see cref="ReadOutcome.Good"/>.</summary>
    public object? Value { get; init; }

    /// <summary>It has ports or endpoints, but none of them can be used: another thing than a slice that has none.</summary>
    public bool IsHollow { get; init; }

    /// <summary>What was refused, and why; a good object may have some.</summary>
    public ImmutableArray<ObjectProblem> Problems { get; init; } = [];

    /// <summary>Puts the object into the store, or takes it out; a bad one leaves what was good before.</summary>
    /// <param name="store">Where to.</param>
    /// <param name="received">When its bytes were here; of a value, that is in the value.</param>
    public void ApplyTo(ClusterStateStore store, long received = 0)
    {
        switch (Value)
        {
            case Service service:
                store.Put(service);
                break;
            case BackendSlice slice:
                store.Put(slice);
                break;
            case LocalNode node:
                store.Put(node);
                break;
            default:
                if (Outcome == ReadOutcome.Ignored)
                {
                    RemoveFrom(store, received);
                }

                break;
        }
    }

    /// <summary>Takes the object out of the store.</summary>
    /// <param name="store">From where.</param>
    /// <param name="received">When the bytes that say so were here (<see cref="ChangeTimes.Received"/>); 0 if nobody noted it.</param>
    public void RemoveFrom(ClusterStateStore store, long received = 0)
    {
        var times = new ChangeTimes(null, received);
        switch (Kind)
        {
            case ObjectReader.ServiceKind:
                store.RemoveService(Name, times);
                break;
            case ObjectReader.SliceKind:
                store.RemoveSlice(Name, times);
                break;
            case ObjectReader.NodeKind when string.Equals(Name.Name, store.NodeName, StringComparison.Ordinal):
                store.RemoveNode();
                break;
        }
    }
}

/// <summary>What to do with an object that was read.</summary>
public enum ReadOutcome : byte
{
    /// <summary>Serve it, without the parts that were refused.</summary>
    Good,

    /// <summary>Not proxied, and nothing wrong with it: as if it did not exist (R1).</summary>
    Ignored,

    /// <summary>Not usable; what was known of it before stays.</summary>
    Bad,
}
