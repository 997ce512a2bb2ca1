using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>Reading optional fields of JSON that may have any shape: null and a wrong parent count as absent.</summary>
internal static class JsonFields
{
    public static bool TryField(this JsonElement parent, string name, out JsonElement field)
    {
        field = default;
        return parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out field)
            && field.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined);
    }

    /// <summary>A field several levels down.</summary>
    public static JsonElement Field(this JsonElement parent, params ReadOnlySpan<string> path)
    {
        foreach (string name in path)
        {
            if (!parent.TryField(name, out parent))
            {
                return default;
            }
        }

        return parent;
    }

    public static bool TryText(this JsonElement parent, string name, [NotNullWhen(true)] out string? text)
    {
        text = parent.TryField(name, out JsonElement field) && field.ValueKind == JsonValueKind.String ? field.GetString() : null;
        return text is not null;
    }

    public static bool TryBool(this JsonElement parent, string name, out bool value)
    {
        value = false;
        if (!parent.TryField(name, out JsonElement field) || field.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            return false;
        }

        value = field.GetBoolean();
        return true;
    }

    /// <summary>The elements of an array; none if the field is absent or something else.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement parent, string name) =>
        parent.TryField(name, out JsonElement field) && field.ValueKind == JsonValueKind.Array ? field.EnumerateArray() : [];

    /// <summary>What stands there, short, for a message.</summary>
    public static string Shown(this JsonElement field)
    {
        string text = field.ValueKind == JsonValueKind.Undefined ? "nothing" : field.GetRawText();
        return text.Length <= 60 ? text : text[..57] + "...";
    }
}
