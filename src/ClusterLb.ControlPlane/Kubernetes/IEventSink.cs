using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>Where an operator is told what went wrong with an object: as Kubernetes Events where there is an API server.</summary>
/// <remarks>Implementations are thread-safe, return at once and never throw: an event that cannot be written is logged.</remarks>
public interface IEventSink
{
    /// <summary>Reports a Warning about an object. The same one again, soon after, is counted, not repeated.</summary>
    /// <param name="kind">Service, EndpointSlice or Node.</param>
    /// <param name="name">The object; of a Node without namespace.</param>
    /// <param name="reason">One word in UpperCamelCase, such as <c>FailedToStartServiceHealthcheck</c>: what scripts look for.</param>
    /// <param name="note">For people: what happened, and what becomes of it.</param>
    void Warn(string kind, ObjectName name, string reason, string note);
}
