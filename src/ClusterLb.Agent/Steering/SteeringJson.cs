using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Steering;

/// <summary>JSON without reflection.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SteeringRecord))]
internal sealed partial class SteeringJson : JsonSerializerContext;
