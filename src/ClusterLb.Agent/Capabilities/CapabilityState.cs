using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Capabilities;

/// <summary>Whether the machine can do something.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CapabilityState>))]
public enum CapabilityState
{
    /// <summary>It can.</summary>
    [JsonStringEnumMemberName("yes")]
    Yes,

    /// <summary>It cannot.</summary>
    [JsonStringEnumMemberName("no")]
    No,

    /// <summary>It could not be found out: a right is missing, or there is no device yet.</summary>
    [JsonStringEnumMemberName("unknown")]
    Unknown,
}
