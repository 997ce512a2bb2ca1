using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Steering;

/// <summary>How answers between two pods of one Linux bridge are made to come back to us (docs/steering.md, "Pods on a bridge").</summary>
[JsonConverter(typeof(JsonStringEnumConverter<BridgeFix>))]
public enum BridgeFix
{
    /// <summary>Switched packets pass the node's rules (br_netfilter): answers are known by their mark, and taken up to the bridge.</summary>
    [JsonStringEnumMemberName("connection mark")]
    ConnectionMark,

    /// <summary>All that pods of the bridge say to each other is taken up, and routed instead of switched.</summary>
    [JsonStringEnumMemberName("routed")]
    Routed,

    /// <summary>Nothing can be taken up: the backend sees this node instead of the client, so that it answers to the node.</summary>
    [JsonStringEnumMemberName("masquerade")]
    Masquerade,
}
