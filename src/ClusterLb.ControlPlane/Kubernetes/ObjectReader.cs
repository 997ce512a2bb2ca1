using System.Text.Json;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>Reads objects of the three kinds we know from JSON. Not thread-safe: it shares strings between objects.</summary>
public sealed class ObjectReader
{
    /// <summary>v1 Service.</summary>
    public const string ServiceKind = "Service";

    /// <summary>discovery.k8s.io/v1 EndpointSlice.</summary>
    public const string SliceKind = "EndpointSlice";

    /// <summary>v1 Node.</summary>
    public const string NodeKind = "Node";

    private const int MaxNameLength = 253; // a DNS subdomain
    private const int MaxLabelLength = 63; // a DNS label: namespaces, services

    private readonly StringPool _pool = new();

    /// <summary>Reads one document: an object, or a List with its items. Objects of other kinds are left out.</summary>
    /// <param name="document">The JSON.</param>
    /// <param name="origin">Where it came from, for problems.</param>
    /// <param name="problems">Takes what cannot be said of one object: no kind, no name.</param>
    public IEnumerable<KubernetesObject> ReadAll(JsonElement document, string origin, ICollection<ObjectProblem> problems)
    {
        string kind = Text(document, "kind");
        if (!kind.EndsWith("List", StringComparison.Ordinal))
        {
            return Read(document, origin, problems) is { } single ? [single] : [];
        }

        // The items of a typed list need not repeat their kind.
        string itemKind = kind[..^4];
        var objects = new List<KubernetesObject>();
        foreach (JsonElement item in document.Items("items"))
        {
            bool isUntyped = itemKind.Length > 0 && !item.TryField("kind", out _);
            if ((isUntyped ? Read(item, itemKind, Text(document, "apiVersion"), origin, problems) : Read(item, origin, problems)) is { } found)
            {
                objects.Add(found);
            }
        }

        return objects;
    }

    /// <summary>Reads one object; null if it is of another kind, or has no name.</summary>
    public KubernetesObject? Read(JsonElement item, string origin, ICollection<ObjectProblem> problems) =>
        Read(item, Text(item, "kind"), Text(item, "apiVersion"), origin, problems);

    /// <summary>Reads one object whose kind is known from where it stands: items of a list do not repeat it.</summary>
    /// <param name="item">The object.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="apiVersion">Its group and version.</param>
    /// <param name="origin">Where it came from, for problems.</param>
    /// <param name="problems">Takes what cannot be said of one object: no kind, no name.</param>
    /// <param name="received">When its bytes were here: <see cref="ChangeTimes.Received"/>.</param>
    internal KubernetesObject? Read(
        JsonElement item, string kind, string apiVersion, string origin, ICollection<ObjectProblem> problems, long received = 0)
    {
        if (kind.Length == 0)
        {
            problems.Add(new ObjectProblem(origin, "", default, "kind", "a document without a kind is no Kubernetes object; it is skipped"));
            return null;
        }

        string group = apiVersion.Contains('/', StringComparison.Ordinal) ? apiVersion[..apiVersion.IndexOf('/', StringComparison.Ordinal)] : "";
        bool isOurs = kind is ServiceKind or NodeKind ? group.Length == 0 : kind == SliceKind && group == "discovery.k8s.io";
        if (!isOurs)
        {
            return null;
        }

        try
        {
            return ReadOurs(item, kind, apiVersion, origin, problems, received);
        }
        catch (InvalidOperationException e)
        {
            // As below, in its name.
            problems.Add(new ObjectProblem(origin, kind, default, "metadata", $"unreadable ({e.Message}); the object is skipped"));
            return null;
        }
    }

    private KubernetesObject? ReadOurs(
        JsonElement item, string kind, string apiVersion, string origin, ICollection<ObjectProblem> problems, long received)
    {
        JsonElement metadata = item.Field("metadata");
        string name = Text(metadata, "name");
        string space = kind == NodeKind ? "" : metadata.TryText("namespace", out string? given) && given.Length > 0 ? given : "default";
        int maxLength = kind == ServiceKind ? MaxLabelLength : MaxNameLength;
        if (name.Length == 0 || name.Length > maxLength || space.Length > MaxLabelLength || name.Contains('/', StringComparison.Ordinal))
        {
            string found = metadata.TryField("name", out JsonElement field) ? field.Shown() : "missing";
            problems.Add(new ObjectProblem(origin, kind, new ObjectName(space, "?"), "metadata.name", $"{found}; the object is skipped"));
            return null;
        }

        var context = new ReadContext(origin, kind, new ObjectName(_pool.Share(space), name), _pool, received);
        string wanted = kind == SliceKind ? "discovery.k8s.io/v1" : "v1";
        if (apiVersion != wanted)
        {
            context.Report("apiVersion", $"'{apiVersion}' is not {wanted}; the object is skipped");
            return context.Bad();
        }

        try
        {
            return kind switch
            {
                ServiceKind => ServiceReader.Read(item, metadata, context),
                SliceKind => EndpointSliceReader.Read(item, metadata, context),
                _ => NodeReader.Read(item, metadata, context),
            };
        }
        catch (InvalidOperationException e)
        {
            // A text that is no text: half a surrogate pair. It must not take the objects after it along.
            context.Report("", $"unreadable ({e.Message}); the object is skipped");
            return context.Bad();
        }
    }

    private static string Text(JsonElement parent, string name) => parent.TryText(name, out string? text) ? text : "";
}
