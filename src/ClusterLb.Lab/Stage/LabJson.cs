using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Echo;

namespace ClusterLb.Lab.Stage;

/// <summary>Source-generated JSON of everything the lab writes and reads.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LabState))]
[JsonSerializable(typeof(LabStatus))]
[JsonSerializable(typeof(EchoAnswer))]
[JsonSerializable(typeof(ConnectReport))]
[JsonSerializable(typeof(StreamReport))]
public sealed partial class LabJson : JsonSerializerContext
{
    /// <summary>For people who ask for JSON: nothing but what JSON itself wants is escaped.</summary>
    public static LabJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
