using System.Buffers;
using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Reads one page of a list as it arrives, object by object, so that no page is ever in memory as a whole.</summary>
internal sealed class ListPage
{
    private const int MaxObject = 32 << 20; // bytes; etcd holds none above a few MB
    private static readonly JsonReaderOptions Options = new() { MaxDepth = JsonLine.MaxDepth };

    private JsonReaderState _state = new(Options);
    private bool _isBegun;
    private bool _isInItems;

    /// <summary>Resource version of the list; empty until the page was read.</summary>
    public string ResourceVersion { get; private set; } = "";

    /// <summary>What asks for the next page; empty on the last one.</summary>
    public string Continue { get; private set; } = "";

    /// <summary>The page is complete.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Takes what the pipe has, as far as objects are whole.</summary>
    /// <returns>What was used; the rest must come again, with more behind it.</returns>
    /// <exception cref="JsonException">This is no list.</exception>
    public SequencePosition Take(in ReadOnlySequence<byte> buffer, bool isFinal, Action<JsonElement> item)
    {
        var reader = new Utf8JsonReader(buffer, isFinal, _state);
        SequencePosition used = buffer.Start;
        while (!IsComplete)
        {
            Utf8JsonReader step = reader;
            if (!TryStep(ref step, item))
            {
                break;
            }

            reader = step;
            used = reader.Position;
            _state = reader.CurrentState;
        }

        if (isFinal && !IsComplete)
        {
            throw new JsonException("The list breaks off.");
        }

        if (!IsComplete && buffer.Slice(used).Length > MaxObject)
        {
            throw new JsonException($"An object of the list is larger than {MaxObject} bytes.");
        }

        return used;
    }

    /// <summary>One object, one field of the list, or one of its brackets. False if not all of it is here; then nothing is used.</summary>
    private bool TryStep(ref Utf8JsonReader reader, Action<JsonElement> item)
    {
        if (!_isBegun)
        {
            if (!reader.Read())
            {
                return false;
            }

            return _isBegun = reader.TokenType == JsonTokenType.StartObject ? true : throw new JsonException("The list is no object.");
        }

        if (_isInItems)
        {
            return TryItem(ref reader, item);
        }

        if (!reader.Read())
        {
            return false;
        }

        if (reader.TokenType == JsonTokenType.EndObject)
        {
            IsComplete = true;
            return true;
        }

        if (reader.ValueTextEquals("items"u8))
        {
            if (!reader.Read())
            {
                return false;
            }

            _isInItems = reader.TokenType == JsonTokenType.StartArray;
            return _isInItems || reader.TokenType == JsonTokenType.Null ? true : throw new JsonException("The items of the list are no array.");
        }

        bool isMetadata = reader.ValueTextEquals("metadata"u8);
        if (!reader.Read() || !JsonDocument.TryParseValue(ref reader, out JsonDocument? value))
        {
            return false;
        }

        using (value)
        {
            if (isMetadata)
            {
                ResourceVersion = value.RootElement.TryText("resourceVersion", out string? version) ? version : "";
                Continue = value.RootElement.TryText("continue", out string? next) ? next : "";
            }
        }

        return true;
    }

    private bool TryItem(ref Utf8JsonReader reader, Action<JsonElement> item)
    {
        if (!reader.Read())
        {
            return false;
        }

        if (reader.TokenType == JsonTokenType.EndArray)
        {
            _isInItems = false;
            return true;
        }

        if (!JsonDocument.TryParseValue(ref reader, out JsonDocument? document))
        {
            return false;
        }

        using (document)
        {
            item(document.RootElement);
        }

        return true;
    }
}
