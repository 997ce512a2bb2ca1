using System.Text.Json;
using System.Text.Json.Serialization;

namespace ClusterLb.Dataplane.Host;

/// <summary>JSON of the control socket, without reflection.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlMessage))]
internal sealed partial class ControlJson : JsonSerializerContext;
