using System.Text.Json.Serialization;

namespace ClusterLb.Dataplane.Host;

/// <summary>The kinds of message on the control socket.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ControlKind>))]
public enum ControlKind
{
    /// <summary>Answer to a request.</summary>
    Reply = 0,

    /// <summary>A line for the agent's log: the dataplane has no log of its own.</summary>
    Log,

    /// <summary>Agent asks: who are you, and what do you do? Answered in every state.</summary>
    Status,

    /// <summary>Agent says: here are maps, flow tables and queues; serve them. Once.</summary>
    Start,

    /// <summary>Agent asks for duplicates of the queues, because it adopts.</summary>
    Queues,

    /// <summary>Agent says: forget these flows.</summary>
    Flush,

    /// <summary>Agent says: stop at a batch boundary and end. Answered when the last packet in hand is written.</summary>
    Stop,

    /// <summary>Agent says: here is everything; another dataplane serves it, and when that one ends, serve. Once, instead of <see cref="Start"/>.</summary>
    Succeed,

    /// <summary>Agent asks for all files that are served from, for a successor: the very memory, whatever lies under their names by now.</summary>
    Files,
}
