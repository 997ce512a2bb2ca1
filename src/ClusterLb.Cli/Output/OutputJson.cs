using System.Text.Json.Serialization;

namespace ClusterLb.Cli.Output;

/// <summary>JSON code of everything that <c>-o json</c> prints as one document.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(BackendMapView[]))]
[JsonSerializable(typeof(FrontendView[]))]
[JsonSerializable(typeof(ReverseNatMapView[]))]
[JsonSerializable(typeof(ServiceMapView[]))]
[JsonSerializable(typeof(VersionView))]
internal sealed partial class OutputJson : JsonSerializerContext;
