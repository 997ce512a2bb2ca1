namespace ClusterLb.ControlPlane.Model;

/// <summary>What becomes of what is wrong with an object.</summary>
public enum ProblemEffect : byte
{
    /// <summary>The object, or the part of it that the field names, is not served.</summary>
    NotServed,

    /// <summary>It is served as if the field had another value, which the reason names.</summary>
    TakenDifferently,

    /// <summary>It is served as if the annotation were not there.</summary>
    AnnotationIgnored,
}
