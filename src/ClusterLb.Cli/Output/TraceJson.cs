using System.Text.Json.Serialization;

namespace ClusterLb.Cli.Output;

/// <summary>JSON of what has no end: one object per line.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(TraceView))]
internal sealed partial class TraceJson : JsonSerializerContext;
