using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>JSON of vectors, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(VectorFile))]
internal sealed partial class VectorJson : JsonSerializerContext;
