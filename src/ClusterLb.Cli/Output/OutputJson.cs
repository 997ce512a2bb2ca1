using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Explain;
using ClusterLb.Agent.Explain.Vectors;

namespace ClusterLb.Cli.Output;

/// <summary>JSON code of everything that <c>-o json</c> prints as one document.</summary>
[JsonSerializable(typeof(AffinityView[]))]
[JsonSerializable(typeof(BackendMapView[]))]
[JsonSerializable(typeof(CleanupView))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(FlowView[]))]
[JsonSerializable(typeof(FlushView))]
[JsonSerializable(typeof(FrontendView[]))]
[JsonSerializable(typeof(MaglevView))]
[JsonSerializable(typeof(ReplayView))]
[JsonSerializable(typeof(ReverseNatMapView[]))]
[JsonSerializable(typeof(ServiceMapView[]))]
[JsonSerializable(typeof(SourceRangeView[]))]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(SyncTraceReport))]
[JsonSerializable(typeof(VectorReport))]
[JsonSerializable(typeof(VersionView))]
internal sealed partial class OutputJson : JsonSerializerContext
{
    /// <summary>Field names as in Kubernetes, no nulls, lines for people, and <c>-></c> as such: this JSON stands in no web page.</summary>
    public static OutputJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
