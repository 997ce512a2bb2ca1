using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Doctor;

/// <summary>What a check came to. The words are those of <c>doctor</c>'s table and JSON.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CheckVerdict>))]
public enum CheckVerdict
{
    /// <summary>As it should be.</summary>
    [JsonStringEnumMemberName("ok")]
    Ok,

    /// <summary>Traffic is served, but something is worse than it could be, or may become so.</summary>
    [JsonStringEnumMemberName("warning")]
    Warning,

    /// <summary>Some traffic is not served, or not as it should be.</summary>
    [JsonStringEnumMemberName("failed")]
    Failed,

    /// <summary>What would be checked is not on this node.</summary>
    [JsonStringEnumMemberName("not applicable")]
    NotApplicable,
}
