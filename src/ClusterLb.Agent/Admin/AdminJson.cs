using System.Text.Json.Serialization;
using ClusterLb.Agent.Explain;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Agent.Admin;

/// <summary>JSON of the admin API, without reflection. Also for the command line, which prints the same.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(AgentStatus))]
[JsonSerializable(typeof(BackendDecisions))]
[JsonSerializable(typeof(SyncTraceReport))]
[JsonSerializable(typeof(AdminAnswer))]
[JsonSerializable(typeof(FlushRequest))]
public sealed partial class AdminJson : JsonSerializerContext;
