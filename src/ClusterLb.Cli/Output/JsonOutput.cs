using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ClusterLb.Cli.Output;

/// <summary>Prints objects as JSON, by source-generated code only: the program is trimmed.</summary>
internal static class JsonOutput
{
    /// <summary>One document over several lines, and a line end.</summary>
    public static void WriteDocument<T>(TextWriter writer, T value, JsonTypeInfo<T> type) =>
        writer.WriteLine(JsonSerializer.Serialize(value, type));
}
