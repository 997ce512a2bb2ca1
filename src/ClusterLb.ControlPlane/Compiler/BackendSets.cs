using System.Collections.Immutable;
using System.Runtime.InteropServices;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>The backends of one service port, sorted by what they may be used for (R5 to R13).</summary>
internal sealed class BackendSets
{
    private readonly List<Candidate> _all;

    private BackendSets(List<Candidate> all, string nodeName, string zone)
    {
        _all = all;
        Serving = [.. all.Where(c => c.Backend.IsServing)
            .Select(c => new BackendImage(c.Key, c.Backend.IsReady ? BackendState.Active : BackendState.Terminating))];

        NotServing = [.. all.Where(c => !c.Backend.IsServing).Select(c => c.Key)];

        List<Candidate> ready = [.. all.Where(c => c.Backend.IsReady)];
        if (ready.Count > 0)
        {
            (List<Candidate> chosen, Topology) = TopologyFilter.Apply(ready, nodeName, zone);
            Cluster = [.. chosen.Select(c => c.Key)];
        }
        else
        {
            Cluster = [.. all.Where(c => c.Backend.IsFallback).Select(c => c.Key)];
        }

        AnyUsable = Cluster.Length > 0; // hints narrow, but never to nothing

        // The local set is judged by itself: terminating backends here serve although others are ready elsewhere (R12).
        LocalReady = [.. ready.Where(c => c.IsLocalReady).Select(c => c.Key)];
        Local = LocalReady.Length > 0 ? LocalReady : [.. all.Where(c => c.IsLocal && c.Backend.IsFallback).Select(c => c.Key)];
    }

    /// <summary>All that serve, terminating ones included.</summary>
    public BackendImage[] Serving { get; }

    /// <summary>All others: not ready, and not serving while they terminate.</summary>
    public BackendKey[] NotServing { get; }

    /// <summary>Whom policy Cluster may choose (R11).</summary>
    public BackendKey[] Cluster { get; }

    /// <summary>Whom policy Local may choose (R12).</summary>
    public BackendKey[] Local { get; }

    /// <summary>Ready ones of this node: those that health checks count.</summary>
    public BackendKey[] LocalReady { get; }

    /// <summary>A usable backend exists somewhere in the cluster: no slots then means drop, not reject (R15, R16).</summary>
    public bool AnyUsable { get; }

    /// <summary>Whether hints were used; null if no ready backend has one.</summary>
    public TopologyDecision? Topology { get; }

    public static BackendSets Of(
        ImmutableArray<BackendSlice> slices, string portName, IpProtocol protocol, bool isIpv4, string nodeName, string zone) =>
        new(Candidates(slices, portName, protocol, isIpv4, nodeName), nodeName, zone);

    /// <summary><see cref="LocalReady"/> of a port, without what else would have to be found out.</summary>
    public static IEnumerable<BackendKey> LocalReadyOf(
        ImmutableArray<BackendSlice> slices, string portName, IpProtocol protocol, bool isIpv4, string nodeName) =>
        Candidates(slices, portName, protocol, isIpv4, nodeName).Where(c => c.IsLocalReady).Select(c => c.Key);

    private static List<Candidate> Candidates(
        ImmutableArray<BackendSlice> slices, string portName, IpProtocol protocol, bool isIpv4, string nodeName)
    {
        int most = 0;
        foreach (BackendSlice slice in slices)
        {
            most += slice.IsIpv4 == isIpv4 ? slice.Backends.Length : 0;
        }

        var candidates = new List<Candidate>(most);
        var known = new Dictionary<BackendKey, int>(most);
        foreach (BackendSlice slice in slices)
        {
            if (slice.IsIpv4 != isIpv4)
            {
                continue;
            }

            foreach (BackendPort port in slice.Ports)
            {
                if (port.Protocol == protocol && string.Equals(port.Name, portName, StringComparison.Ordinal))
                {
                    Add(slice, port, nodeName, candidates, known);
                }
            }
        }

        return candidates;
    }

    /// <summary>All backends by address, each with why it is in neither set or in one only. For people; nothing is decided here.</summary>
    public IReadOnlyList<BackendReport> Report(NodeView node)
    {
        var cluster = new HashSet<BackendKey>(Cluster);
        var local = new HashSet<BackendKey>(Local);
        return
        [
            .. _all.OrderBy(c => c.Key.Address).ThenBy(c => c.Key.Port).Select(c => new BackendReport(
                c.Key,
                c.Backend,
                c.IsLocal,
                cluster.Contains(c.Key) ? null : WhyUnused(c.Backend, "ready ones exist") ?? WhyNotHinted(c, node),
                local.Contains(c.Key) ? null : WhyNotLocal(c, node) ?? WhyUnused(c.Backend, "ready ones exist on this node"))),
        ];
    }

    private static string? WhyUnused(Backend backend, string others) => backend switch
    {
        { IsReady: true } => null,
        { IsFallback: true } => $"terminating, and {others}",
        { IsTerminating: true } => "terminating, and does not serve any more",
        _ => "not ready",
    };

    private string WhyNotHinted(Candidate candidate, NodeView node)
    {
        TopologyHints? hints = candidate.Backend.Hints;
        return Topology is { Mode: TopologyMode.Node }
            ? $"its hints name node {string.Join(", ", hints?.Nodes ?? [])}, this is {node.Name}"
            : $"its hints name zone {string.Join(", ", hints?.Zones ?? [])}, this is {node.Zone}";
    }

    private static string? WhyNotLocal(Candidate candidate, NodeView node) => candidate switch
    {
        { IsLocal: true } => null,
        { Backend.NodeName.Length: 0 } => "its node is not known, so it counts as remote",
        _ => $"on node {candidate.Backend.NodeName}, this is {node.Name}",
    };

    private static void Add(
        BackendSlice slice, BackendPort port, string nodeName, List<Candidate> candidates, Dictionary<BackendKey, int> known)
    {
        foreach (Backend backend in slice.Backends)
        {
            var key = new BackendKey(backend.Address, port.Port, port.Protocol);
            bool isLocal = backend.NodeName.Length > 0 && string.Equals(backend.NodeName, nodeName, StringComparison.Ordinal);
            var candidate = new Candidate(key, backend, isLocal);

            ref int at = ref CollectionsMarshal.GetValueRefOrAddDefault(known, key, out bool exists);
            if (!exists)
            {
                at = candidates.Count;
                candidates.Add(candidate);
            }
            else if (candidate.Rank < candidates[at].Rank)
            {
                candidates[at] = candidate;
            }
        }
    }

    /// <summary>A backend with this port.</summary>
    internal readonly record struct Candidate(BackendKey Key, Backend Backend, bool IsLocal)
    {
        public bool IsLocalReady => IsLocal && Backend.IsReady;

        /// <summary>The same address and port twice counts once; the lower rank stays. An address that was given to a new pod
        /// is listed as terminating (the old pod) and as live (the new one): the live one is the truth (R9).</summary>
        public int Rank => (Backend.IsTerminating ? 4 : 0) + (Backend.IsReady ? 0 : 2) + (IsLocal ? 0 : 1);
    }
}
