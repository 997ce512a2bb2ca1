using System.Collections;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using ClusterLb.Agent.Configuration;

namespace ClusterLb.Agent.Logging;

/// <summary>A message as one JSON object, with the keys of Kubernetes' JSON log: ts, caller, msg, v, the values, err.</summary>
internal static class KlogJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>One line without its end.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="caller">Where.</param>
    /// <param name="verbosity">The level at which it is written.</param>
    /// <param name="isError">Errors and warnings have no level.</param>
    /// <param name="now">When.</param>
    public static string Line(KlogMessage message, string caller, int verbosity, bool isError, DateTimeOffset now)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Options))
        {
            json.WriteStartObject();
            json.WriteNumber("ts", (now - DateTimeOffset.UnixEpoch).TotalMilliseconds);
            json.WriteString("caller", caller);
            json.WriteString("msg", message.Text);
            if (!isError)
            {
                json.WriteNumber("v", verbosity);
            }

            foreach ((string key, object? value) in message.Values)
            {
                json.WritePropertyName(key);
                Write(json, value);
            }

            if (message.Error is { } error)
            {
                json.WriteString("err", error);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void Write(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case double number:
                json.WriteNumberValue(number);
                break;
            case int or long or uint or short or ushort or byte:
                json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture));
                break;
            case ulong number:
                json.WriteNumberValue(number);
                break;
            case TimeSpan duration:
                json.WriteStringValue(GoDuration.Format(duration));
                break;
            case string text:
                json.WriteStringValue(text);
                break;
            case IEnumerable items:
                json.WriteStartArray();
                foreach (object? item in items)
                {
                    Write(json, item);
                }

                json.WriteEndArray();
                break;
            default:
                json.WriteStringValue(value.ToString());
                break;
        }
    }
}
