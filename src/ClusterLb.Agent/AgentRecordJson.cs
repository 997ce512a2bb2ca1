using System.Text.Json.Serialization;

namespace ClusterLb.Agent;

/// <summary>JSON without reflection.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(AgentRecord))]
internal sealed partial class AgentRecordJson : JsonSerializerContext;
