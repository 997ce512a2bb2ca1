using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ClusterLb.Cli.Output;

/// <summary>JSON of what has no end: one object per line.</summary>
[JsonSerializable(typeof(TraceView))]
internal sealed partial class TraceJson : JsonSerializerContext
{
    /// <summary>As <see cref="OutputJson.Readable"/>, on one line.</summary>
    public static TraceJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
