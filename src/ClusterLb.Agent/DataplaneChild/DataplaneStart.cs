using System.Text.Json.Serialization;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>How a dataplane came to serve.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataplaneStart>))]
public enum DataplaneStart
{
    /// <summary>It was known and serving already.</summary>
    AlreadyRunning,

    /// <summary>A dataplane of an earlier agent was taken over as it is.</summary>
    Adopted,

    /// <summary>A dataplane of an earlier agent was running, but of another build or configuration; a new one has taken over from it.</summary>
    Replaced,

    /// <summary>The dataplane had ended, and its successor served already.</summary>
    Succeeded,

    /// <summary>None was running; a new one was started.</summary>
    Started,
}
