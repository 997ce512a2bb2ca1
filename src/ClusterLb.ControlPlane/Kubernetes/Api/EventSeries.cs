using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>What an event says.</summary>
internal sealed record WarningEvent(string Kind, ObjectName Name, string Reason, string Note);

/// <summary>One Event object, and how often what it says has happened.</summary>
internal sealed class EventSeries
{
    private const int MaxNote = 1024; // bytes, by the API
    private const int MaxName = 253 - 17;
    private const string Controller = "clusterlb.io/agent";

    private readonly WarningEvent _warning;
    private readonly DateTimeOffset _firstAt;

    private readonly Guid? _uid;

    public EventSeries(WarningEvent warning, DateTimeOffset firstAt, Guid? uid)
    {
        _warning = warning;
        _uid = uid;
        _firstAt = LastAt = WrittenAt = firstAt;
        string subject = warning.Name.Name;
        Name = $"{subject[..Math.Min(MaxName, subject.Length)]}.{Mark(warning, firstAt, uid)}";
    }

    /// <summary>metadata.name: the object's, and what is said of it. Every node that says the same within an hour, for which
    /// events live, gives it the same name: the first one writes it.</summary>
    public string Name { get; }

    /// <summary>How often.</summary>
    public int Count { get; set; } = 1;

    /// <summary>When it happened last.</summary>
    public DateTimeOffset LastAt { get; set; }

    /// <summary>The count that the server knows.</summary>
    public int WrittenCount { get; set; } = 1;

    /// <summary>When it was told.</summary>
    public DateTimeOffset WrittenAt { get; set; }

    /// <summary>Path of all events of its namespace; of what has none they are in default.</summary>
    public string CollectionPath => $"apis/events.k8s.io/v1/namespaces/{Uri.EscapeDataString(Namespace)}/events";

    private string Namespace => _warning.Name.Namespace.Length > 0 ? _warning.Name.Namespace : "default";

    /// <summary>The whole object.</summary>
    public byte[] ToJson(string instance) => Write(json =>
    {
        json.WriteString("apiVersion", "events.k8s.io/v1");
        json.WriteString("kind", "Event");
        json.WriteStartObject("metadata");
        json.WriteString("name", Name);
        json.WriteString("namespace", Namespace);
        json.WriteEndObject();
        json.WriteString("eventTime", Time(_firstAt));
        json.WriteString("reportingController", Controller);
        json.WriteString("reportingInstance", instance);
        json.WriteString("action", "Serve");
        json.WriteString("reason", _warning.Reason);
        json.WriteString("type", "Warning");
        json.WriteString("note", Shorten(_warning.Note));
        json.WriteStartObject("regarding");
        json.WriteString("apiVersion", _warning.Kind == ObjectReader.SliceKind ? ApiResource.Slices.ApiVersion : "v1");
        json.WriteString("kind", _warning.Kind);
        if (_warning.Name.Namespace.Length > 0)
        {
            json.WriteString("namespace", _warning.Name.Namespace);
        }

        json.WriteString("name", _warning.Name.Name);
        if (_uid is { } id)
        {
            json.WriteString("uid", id);
        }

        json.WriteEndObject();
    });

    /// <summary>A merge patch with the count.</summary>
    public byte[] ToPatch() => Write(json =>
    {
        json.WriteStartObject("series");
        json.WriteNumber("count", Count);
        json.WriteString("lastObservedTime", Time(LastAt));
        json.WriteEndObject();
    });

    // What is local names its node: in the note, or as the object.
    private static string Mark(WarningEvent warning, DateTimeOffset firstAt, Guid? uid)
    {
        string hour = (firstAt.ToUnixTimeSeconds() / 3600).ToString(CultureInfo.InvariantCulture);
        string text = string.Join('\0', warning.Kind, warning.Name.Namespace, warning.Name.Name, uid, warning.Reason, warning.Note, hour);
        return Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
    }

    private static byte[] Write(Action<Utf8JsonWriter> body)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    // MicroTime of the API.
    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    private static string Shorten(string note)
    {
        while (System.Text.Encoding.UTF8.GetByteCount(note) > MaxNote)
        {
            note = note[..(note.Length * 3 / 4)] + "…";
        }

        return note;
    }
}
