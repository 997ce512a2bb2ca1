using System.Collections.Immutable;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Narrows ready backends to those that are meant for this node or its zone (R13). Only hints are read:
/// neither the backend's own node and zone nor spec.trafficDistribution.</summary>
internal static class TopologyFilter
{
    private const int MostNamed = 3;

    /// <summary>Who is left, and why; no decision if nobody has a hint.</summary>
    public static (List<BackendSets.Candidate> Chosen, TopologyDecision? Decision) Apply(
        List<BackendSets.Candidate> ready, string nodeName, string zone)
    {
        if (!ready.Exists(c => c.Backend.Hints is not null))
        {
            return (ready, null);
        }

        if (Narrow(ready, c => c.Backend.Hints?.Nodes ?? [], "node", nodeName, out string whyNotNode) is { } byNode)
        {
            return (byNode, new TopologyDecision(TopologyMode.Node, $"node mode: {byNode.Count} of {ready.Count} endpoints are meant for node {nodeName}"));
        }

        // A mode that nobody asked for needs no excuse.
        string prefix = ready.Exists(c => c.Backend.Hints is { Nodes.IsEmpty: false }) ? whyNotNode + "; " : "";
        return Narrow(ready, c => c.Backend.Hints?.Zones ?? [], "zone", zone, out string whyNotZone) is { } byZone
            ? (byZone, new TopologyDecision(TopologyMode.Zone, $"{prefix}zone mode: {byZone.Count} of {ready.Count} endpoints are meant for zone {zone}"))
            : (ready, new TopologyDecision(TopologyMode.Off, prefix + whyNotZone));
    }

    /// <summary>Null if the mode is off: one backend has no such hint, or none of them names <paramref name="here"/>.</summary>
    private static List<BackendSets.Candidate>? Narrow(
        List<BackendSets.Candidate> ready, Func<BackendSets.Candidate, ImmutableArray<string>> hints, string mode, string here, out string whyNot)
    {
        whyNot = "";
        if (here.Length == 0)
        {
            whyNot = $"{mode} mode off: the {mode} of this node is not known";
            return null;
        }

        List<BackendSets.Candidate> lacking = ready.FindAll(c => hints(c).IsEmpty);
        if (lacking.Count > 0)
        {
            string which = mode == "zone" ? "hints" : "node hints";
            whyNot = $"{mode} mode off: {lacking.Count} of {ready.Count} endpoints lack {which}: {Names(lacking.Select(c => c.Key.Address.ToString()))}";
            return null;
        }

        List<BackendSets.Candidate> chosen = ready.FindAll(c => hints(c).Contains(here));
        if (chosen.Count == 0)
        {
            whyNot = $"{mode} mode off: no hint names {mode} {here}, only {Names(ready.SelectMany(c => hints(c)))}";
            return null;
        }

        return chosen;
    }

    /// <summary>Sorted, so that the same cluster gives the same text whatever the order of its slices.</summary>
    private static string Names(IEnumerable<string> names)
    {
        string[] all = [.. names.Distinct().Order(StringComparer.Ordinal)];
        return string.Join(", ", all.Take(MostNamed)) + (all.Length > MostNamed ? $" and {all.Length - MostNamed} more" : "");
    }
}
