using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Model;

/// <summary>The names of <see cref="BackendGonePolicy"/> in annotations, in the configuration and on the screen.</summary>
public static class BackendGonePolicyNames
{
    private static readonly (BackendGonePolicy Policy, string Name)[] Names =
        [(BackendGonePolicy.Drain, "drain"), (BackendGonePolicy.Reset, "reset"), (BackendGonePolicy.Keep, "keep")];

    /// <summary>For messages.</summary>
    public static string All { get; } = string.Join(", ", Names.Select(pair => pair.Name));

    /// <summary>The name of a policy; of the default, what it means.</summary>
    public static string Of(BackendGonePolicy policy) => Array.Find(Names, pair => pair.Policy == policy).Name ?? Names[0].Name;

    /// <summary>Reads a name.</summary>
    public static bool TryParse(string text, out BackendGonePolicy policy)
    {
        policy = Array.Find(Names, pair => pair.Name == text).Policy;
        return policy != BackendGonePolicy.Default;
    }
}
