using System.Buffers;
using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>One event of a watch: a line of JSON with a type and an object.</summary>
internal static class JsonLine
{
    /// <summary>Kubernetes objects are a dozen deep; managed fields follow the object.</summary>
    public const int MaxDepth = 256;

    private const int MaxLength = 32 << 20; // bytes; etcd holds no object above a few MB
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = MaxDepth };

    /// <summary>Takes the next whole line off the front of a buffer.</summary>
    /// <exception cref="JsonException">There is none, and there should be by now.</exception>
    public static bool TryTake(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> line)
    {
        if (buffer.PositionOf((byte)'\n') is not { } end)
        {
            line = default;
            return buffer.Length <= MaxLength ? false : throw new JsonException($"An event is longer than {MaxLength} bytes.");
        }

        line = buffer.Slice(0, end);
        buffer = buffer.Slice(buffer.GetPosition(1, end));
        return true;
    }

    /// <summary>The event; to be disposed of.</summary>
    /// <exception cref="JsonException">It is no event.</exception>
    public static JsonDocument Parse(in ReadOnlySequence<byte> line, out WatchEvent type, out JsonElement item)
    {
        JsonDocument document = JsonDocument.Parse(line, Options);
        try
        {
            JsonElement name = document.RootElement.Field("type");
            item = document.RootElement.Field("object");
            type = name.ValueKind != JsonValueKind.String ? WatchEvent.None
                : name.ValueEquals("ADDED"u8) || name.ValueEquals("MODIFIED"u8) ? WatchEvent.Put
                : name.ValueEquals("DELETED"u8) ? WatchEvent.Delete
                : name.ValueEquals("BOOKMARK"u8) ? WatchEvent.Bookmark
                : name.ValueEquals("ERROR"u8) ? WatchEvent.Error : WatchEvent.None;
            if (type == WatchEvent.None || item.ValueKind != JsonValueKind.Object)
            {
                throw new JsonException($"An event of type {name.Shown()} with {item.ValueKind} as its object is not known.");
            }

            return document;
        }
        catch
        {
            document.Dispose();
            throw;
        }
    }
}

/// <summary>What an event says of its object.</summary>
internal enum WatchEvent : byte
{
    /// <summary>No event that we know.</summary>
    None,

    /// <summary>It is like this now (ADDED, MODIFIED).</summary>
    Put,

    /// <summary>It is gone, or no longer selected.</summary>
    Delete,

    /// <summary>No object: everything up to its resource version was sent.</summary>
    Bookmark,

    /// <summary>A Status: the watch ends.</summary>
    Error,
}
