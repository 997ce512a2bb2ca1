using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>YAML documents as JSON, so that one reader serves files and the API. Scalars by the core schema of YAML 1.2.</summary>
internal static partial class YamlJson
{
    private const int MaxDepth = 64; // as System.Text.Json; a Kubernetes object needs a dozen
    private const int MaxGrowth = 10; // by aliases; aliases of aliases of aliases grow without bound
    private const int SmallText = 10_000; // events below which growth is no danger

    /// <summary>Every document of the text that is not empty.</summary>
    /// <exception cref="YamlException">The text is not YAML, too deep, or grows too large by aliases.</exception>
    public static IEnumerable<JsonDocument> Read(TextReader text)
    {
        var parser = new DepthLimit(new Parser(text));
        foreach (YamlDocument document in YamlText.Read(parser))
        {
            using var buffer = new MemoryStream();
            using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
            {
                long budget = MaxGrowth * Math.Max(parser.Events, SmallText);
                Write(document.RootNode, writer, 0, ref budget);
            }

            yield return JsonDocument.Parse(buffer.GetBuffer().AsMemory(0, (int)buffer.Length));
        }
    }

    private static void Write(YamlNode node, Utf8JsonWriter writer, int depth, ref long budget)
    {
        if (depth > MaxDepth || --budget < 0)
        {
            throw new YamlException(node.Start, node.End, "too deep, or too large by its aliases");
        }

        switch (node)
        {
            case YamlMappingNode mapping:
                writer.WriteStartObject();
                foreach ((YamlNode key, YamlNode value) in mapping.Children)
                {
                    writer.WritePropertyName(key is YamlScalarNode { Value: { } name } ? name
                        : throw new YamlException(key.Start, key.End, "a key must be a scalar"));
                    Write(value, writer, depth + 1, ref budget);
                }

                writer.WriteEndObject();
                break;
            case YamlSequenceNode sequence:
                writer.WriteStartArray();
                foreach (YamlNode item in sequence.Children)
                {
                    Write(item, writer, depth + 1, ref budget);
                }

                writer.WriteEndArray();
                break;
            case YamlScalarNode scalar:
                WriteScalar(scalar, writer);
                break;
        }
    }

    private static void WriteScalar(YamlScalarNode scalar, Utf8JsonWriter writer)
    {
        string text = scalar.Value ?? "";
        bool isPlain = scalar.Style == ScalarStyle.Plain && (scalar.Tag.IsEmpty || scalar.Tag.IsNonSpecific);
        if (!isPlain)
        {
            writer.WriteStringValue(text);
            return;
        }

        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL":
                writer.WriteNullValue();
                break;
            case "true" or "True" or "TRUE":
                writer.WriteBooleanValue(true);
                break;
            case "false" or "False" or "FALSE":
                writer.WriteBooleanValue(false);
                break;
            default:
                if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
                {
                    writer.WriteNumberValue(number);
                }
                else if (FloatPattern().IsMatch(text) && double.TryParse(text, CultureInfo.InvariantCulture, out double real) && double.IsFinite(real))
                {
                    writer.WriteNumberValue(real);
                }
                else
                {
                    writer.WriteStringValue(text);
                }

                break;
        }
    }

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex FloatPattern();

    /// <summary>Ends parsing before nesting does it: the representation model recurses, and a stack overflow ends the process.</summary>
    private sealed class DepthLimit(IParser parser) : IParser
    {
        private int _depth;

        public long Events { get; private set; }

        public ParsingEvent? Current => parser.Current;

        public bool MoveNext()
        {
            bool any = parser.MoveNext();
            Events++;
            _depth += any && parser.Current is { } current ? current.NestingIncrease : 0;
            return _depth <= MaxDepth + 2 // stream and document
                ? any
                : throw new YamlException(parser.Current!.Start, parser.Current.End, $"nested deeper than {MaxDepth}");
        }
    }
}
