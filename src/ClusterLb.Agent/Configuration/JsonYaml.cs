using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ClusterLb.Agent.Configuration;

/// <summary>Writes a JSON tree as YAML in block style, as Kubernetes prints configurations.</summary>
internal static class JsonYaml
{
    /// <summary>One document; every line ends with a newline.</summary>
    public static string Write(JsonObject document)
    {
        var text = new StringBuilder();
        Write(text, document, 0);
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonObject mapping, int depth)
    {
        foreach ((string key, JsonNode? value) in mapping)
        {
            text.Append(' ', depth * 2).Append(key).Append(':');
            switch (value)
            {
                case JsonObject { Count: > 0 } nested:
                    text.Append('\n');
                    Write(text, nested, depth + 1);
                    break;
                case JsonArray { Count: > 0 } list:
                    text.Append('\n');
                    foreach (JsonNode? item in list)
                    {
                        text.Append(' ', depth * 2).Append("- ").Append(Scalar(item)).Append('\n');
                    }

                    break;
                default:
                    text.Append(' ').Append(Scalar(value)).Append('\n');
                    break;
            }
        }
    }

    // A JSON scalar, an empty list and an empty mapping are YAML as they are. Plain words go without quotes.
    private static string Scalar(JsonNode? value) =>
        value is JsonValue scalar && scalar.GetValueKind() == JsonValueKind.String && IsPlain(scalar.GetValue<string>())
            ? scalar.GetValue<string>()
            : value?.ToJsonString() ?? "null";

    private static bool IsPlain(string text) =>
        text.Length > 0 && char.IsAsciiLetter(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '/' or '-' or '_')
        && !bool.TryParse(text, out _) && text.ToLower(CultureInfo.InvariantCulture) is not ("null" or "yes" or "no" or "on" or "off" or "y" or "n");
}
