using System.Text.Json;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Puts objects of one kind into the store, and remembers which there are.</summary>
internal sealed class StoreTarget(ClusterStateStore store, ApiResource resource) : IReflectorTarget
{
    private const string Origin = "API server"; // whichever it was: problems must not outlive a change of servers

    private readonly ObjectReader _reader = new();
    private readonly List<ObjectProblem> _nameless = [];
    private readonly Lock _lock = new(); // UidOf asks from elsewhere
    private readonly Dictionary<ObjectName, (Guid Uid, int List)> _known = [];
    private int _list;

    /// <summary>What it holds objects of.</summary>
    public ApiResource Resource => resource;

    /// <inheritdoc/>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _known.Count;
            }
        }
    }

    /// <summary>metadata.uid of an object, or null. Any thread.</summary>
    public Guid? UidOf(ObjectName name)
    {
        lock (_lock)
        {
            return _known.TryGetValue(name, out (Guid Uid, int List) known) ? known.Uid : null;
        }
    }

    /// <inheritdoc/>
    public void BeginList() => _list++;

    /// <inheritdoc/>
    public void Put(JsonElement item, long received)
    {
        if (Read(item, received) is not { } found)
        {
            return;
        }

        lock (_lock)
        {
            _known[found.Name] = (item.Field("metadata", "uid") is { ValueKind: JsonValueKind.String } uid && uid.TryGetGuid(out Guid id) ? id : default, _list);
        }

        store.SetProblems(Origin, found.Kind, found.Name, found.Problems);
        found.ApplyTo(store, received);
    }

    /// <inheritdoc/>
    public void Remove(JsonElement item, long received)
    {
        if (TryName(item, out ObjectName name))
        {
            Remove(name, received);
        }
    }

    /// <inheritdoc/>
    public void EndList()
    {
        ObjectName[] gone;
        lock (_lock)
        {
            gone = [.. _known.Where(k => k.Value.List != _list).Select(k => k.Key)];
        }

        Array.ForEach(gone, name => Remove(name, 0)); // when the list was read says nothing about when they went
    }

    /// <inheritdoc/>
    public void NotOffered()
    {
        // Services, slices and nodes are always offered: a server that says otherwise is not one to believe.
    }

    private KubernetesObject? Read(JsonElement item, long received)
    {
        _nameless.Clear();
        KubernetesObject? found = _reader.Read(item, resource.Kind, resource.ApiVersion, Origin, _nameless, received);
        store.SetProblems(Origin, resource.Kind, default, [.. _nameless]);
        return found;
    }

    private void Remove(ObjectName name, long received)
    {
        lock (_lock)
        {
            _known.Remove(name);
        }

        store.SetProblems(Origin, resource.Kind, name, []);
        new KubernetesObject(resource.Kind, name, ReadOutcome.Ignored).RemoveFrom(store, received);
    }

    private static bool TryName(JsonElement item, out ObjectName name)
    {
        name = default;
        try
        {
            JsonElement metadata = item.Field("metadata");
            if (!metadata.TryText("name", out string? text) || text.Length == 0)
            {
                return false;
            }

            name = new ObjectName(metadata.TryText("namespace", out string? space) ? space : "", text);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }
}
