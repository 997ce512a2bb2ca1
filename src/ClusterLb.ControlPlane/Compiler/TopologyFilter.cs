using System.Collections.Immutable;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Narrows ready backends to those that are meant for this node or its zone (R13). Only hints are read:
/// neither the backend's own node and zone nor spec.trafficDistribution.</summary>
internal static class TopologyFilter
{
    public static IEnumerable<BackendSets.Candidate> Apply(List<BackendSets.Candidate> ready, string nodeName, string zone) =>
        Narrow(ready, c => c.Backend.Hints?.Nodes ?? [], nodeName)
        ?? Narrow(ready, c => c.Backend.Hints?.Zones ?? [], zone)
        ?? ready;

    /// <summary>Null if the mode is off: one backend has no such hint, or none of them names <paramref name="here"/>.</summary>
    private static List<BackendSets.Candidate>? Narrow(
        List<BackendSets.Candidate> ready, Func<BackendSets.Candidate, ImmutableArray<string>> hints, string here)
    {
        if (here.Length == 0 || ready.Exists(c => hints(c).IsEmpty))
        {
            return null;
        }

        List<BackendSets.Candidate> chosen = ready.FindAll(c => hints(c).Contains(here));
        return chosen.Count > 0 ? chosen : null;
    }
}
