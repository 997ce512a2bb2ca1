namespace ClusterLb.ControlPlane.Model;

/// <summary>Namespace and name of a Kubernetes object; the namespace is empty for cluster-wide kinds.</summary>
public readonly record struct ObjectName(string Namespace, string Name) : IComparable<ObjectName>
{
    /// <summary>By namespace, then by name, both ordinal.</summary>
    public int CompareTo(ObjectName other) =>
        string.CompareOrdinal(Namespace, other.Namespace) is var byNamespace and not 0
            ? byNamespace
            : string.CompareOrdinal(Name, other.Name);

    /// <summary>namespace/name, or the name alone. Of <c>default</c>, which stands for an object that did not say its name: that.</summary>
    public override string ToString() => Name is null ? "(without a name)" : string.IsNullOrEmpty(Namespace) ? Name : $"{Namespace}/{Name}";

    /// <summary>Ordinal.</summary>
    public static bool operator <(ObjectName left, ObjectName right) => left.CompareTo(right) < 0;

    /// <summary>Ordinal.</summary>
    public static bool operator >(ObjectName left, ObjectName right) => left.CompareTo(right) > 0;

    /// <summary>Ordinal.</summary>
    public static bool operator <=(ObjectName left, ObjectName right) => left.CompareTo(right) <= 0;

    /// <summary>Ordinal.</summary>
    public static bool operator >=(ObjectName left, ObjectName right) => left.CompareTo(right) >= 0;
}
