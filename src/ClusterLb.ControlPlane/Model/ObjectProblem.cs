namespace ClusterLb.ControlPlane.Model;

/// <summary>Something wrong with an object, or with a part of it that is not served. Shown in the log once and in the status.</summary>
/// <param name="Origin">The file it came from, or the API server's name.</param>
/// <param name="Kind">Service, EndpointSlice, Node; empty if the file as a whole is unreadable.</param>
/// <param name="Name">Namespace and name; default if not known.</param>
/// <param name="Field">Path of the field, such as <c>spec.ports[1].protocol</c>; empty for the object as a whole.</param>
/// <param name="Reason">What is wrong, and what becomes of it.</param>
/// <param name="Effect">What becomes of it, for programs.</param>
public sealed record ObjectProblem(
    string Origin, string Kind, ObjectName Name, string Field, string Reason, ProblemEffect Effect = ProblemEffect.NotServed)
{
    /// <summary>One line: origin, object, field, reason.</summary>
    public override string ToString()
    {
        string subject = Kind.Length == 0 ? Origin : Origin.Length == 0 ? $"{Kind} {Name}" : $"{Origin}: {Kind} {Name}";
        return Field.Length == 0 ? $"{subject}: {Reason}" : $"{subject}: {Field}: {Reason}";
    }
}
