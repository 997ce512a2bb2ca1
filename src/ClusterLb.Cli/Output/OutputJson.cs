using System.Text.Json.Serialization;
using ClusterLb.Agent.Explain;
using ClusterLb.Agent.Explain.Vectors;

namespace ClusterLb.Cli.Output;

/// <summary>JSON code of everything that <c>-o json</c> prints as one document.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(BackendMapView[]))]
[JsonSerializable(typeof(CleanupView))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(FlowView[]))]
[JsonSerializable(typeof(FlushView))]
[JsonSerializable(typeof(FrontendView[]))]
[JsonSerializable(typeof(ReverseNatMapView[]))]
[JsonSerializable(typeof(ServiceMapView[]))]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(VectorReport))]
[JsonSerializable(typeof(VersionView))]
internal sealed partial class OutputJson : JsonSerializerContext;
