using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>The objects of <see cref="FakeApiServer"/> and their history, as etcd keeps them: one version for all.</summary>
/// <remarks>Thread-safe. An object that is kept is never changed: a change replaces it.</remarks>
internal sealed class FakeStore
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<(string Plural, string Namespace, string Name), JsonObject> _objects = [];
    private readonly List<FakeChange> _history = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _version = 1;
    private long _compacted;

    /// <summary>Of the newest change.</summary>
    public long Version
    {
        get
        {
            lock (_lock)
            {
                return _version;
            }
        }
    }

    /// <summary>Done at the next change; ask before looking.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
            {
                return _changed.Task;
            }
        }
    }

    /// <summary>Creates or replaces an object, and fills in what a server fills in.</summary>
    public JsonObject Put(FakeResource resource, JsonObject given)
    {
        lock (_lock)
        {
            JsonObject item = given.DeepClone().AsObject();
            item["apiVersion"] ??= resource.ApiVersion;
            item["kind"] ??= resource.Kind;
            JsonObject metadata = (item["metadata"] ??= new JsonObject()).AsObject();
            string ns = resource.IsNamespaced ? (string?)(metadata["namespace"] ??= "default") ?? "" : "";
            var key = (resource.Plural, ns, (string)metadata["name"]!);
            _objects.TryGetValue(key, out JsonObject? before);
            metadata["uid"] ??= before?["metadata"]!["uid"]!.DeepClone() ?? Guid.NewGuid().ToString();
            metadata["creationTimestamp"] ??= before?["metadata"]!["creationTimestamp"]!.DeepClone()
                ?? DateTimeOffset.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
            metadata["resourceVersion"] = Text(++_version);
            _objects[key] = item;
            Add(new FakeChange(_version, resource.Plural, before, item));
            return item.DeepClone().AsObject();
        }
    }

    public JsonObject? Find(FakeResource resource, string ns, string name)
    {
        lock (_lock)
        {
            return _objects.GetValueOrDefault((resource.Plural, ns, name));
        }
    }

    public void Delete(FakeResource resource, string ns, string name)
    {
        lock (_lock)
        {
            if (_objects.Remove((resource.Plural, ns, name), out JsonObject? before))
            {
                JsonObject last = before.DeepClone().AsObject();
                last["metadata"]!["resourceVersion"] = Text(++_version);
                Add(new FakeChange(_version, resource.Plural, last, null));
            }
        }
    }

    /// <summary>All objects of a resource, in the order of their names, and the version that this is.</summary>
    public (long Version, IReadOnlyList<JsonObject> Items) List(FakeResource resource, FakeSelector selector)
    {
        lock (_lock)
        {
            return (_version, [.. _objects.Where(o => o.Key.Plural == resource.Plural && selector.Matches(o.Value)).Select(o => o.Value)]);
        }
    }

    /// <summary>What happened after a version; null if that is forgotten.</summary>
    public IReadOnlyList<FakeChange>? After(long version)
    {
        lock (_lock)
        {
            return version < _compacted ? null : [.. _history.Where(change => change.Version > version)];
        }
    }

    /// <summary>Forgets how the present state came about. Whoever is not at this version must list.</summary>
    public void Compact()
    {
        lock (_lock)
        {
            _compacted = ++_version; // a change of something that nobody here watches
            _history.Clear();
        }
    }

    private void Add(FakeChange change)
    {
        _history.Add(change);
        TaskCompletionSource changed = _changed;
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.SetResult();
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>One change.</summary>
/// <param name="Version">It made this version.</param>
/// <param name="Plural">Of this resource.</param>
/// <param name="Before">Null if it was created; of a deleted one the last state, with the version of its end.</param>
/// <param name="After">Null if it was deleted.</param>
internal sealed record FakeChange(long Version, string Plural, JsonObject? Before, JsonObject? After)
{
    /// <summary>What a watcher with a selector sees of it: nothing, or a line.</summary>
    public byte[]? LineFor(FakeSelector selector)
    {
        bool was = Before is not null && selector.Matches(Before);
        bool isNow = After is not null && selector.Matches(After);
        return (was, isNow) switch
        {
            (false, false) => null,
            (false, true) => Line("ADDED", After!),
            (true, true) => Line("MODIFIED", After!),
            _ => Line("DELETED", Before!),
        };
    }

    public static byte[] Line(string type, JsonObject item)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("type", type);
            json.WritePropertyName("object");
            item.WriteTo(json);
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }
}
