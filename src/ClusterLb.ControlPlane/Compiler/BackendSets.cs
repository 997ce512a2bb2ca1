using System.Collections.Immutable;
using System.Runtime.InteropServices;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>The backends of one service port, sorted by what they may be used for (R5 to R13).</summary>
internal sealed class BackendSets
{
    private BackendSets(List<Candidate> all, string nodeName, string zone)
    {
        Serving = [.. all.Where(c => c.Backend.IsServing)
            .Select(c => new BackendImage(c.Key, c.Backend.IsReady ? BackendState.Active : BackendState.Terminating))];

        List<Candidate> ready = [.. all.Where(c => c.Backend.IsReady)];
        IEnumerable<Candidate> cluster = ready.Count > 0 ? TopologyFilter.Apply(ready, nodeName, zone) : all.Where(c => c.Backend.IsFallback);
        Cluster = [.. cluster.Select(c => c.Key)];
        AnyUsable = Cluster.Length > 0; // hints narrow, but never to nothing

        // The local set is judged by itself: terminating backends here serve although others are ready elsewhere (R12).
        LocalReady = [.. ready.Where(c => c.IsLocal).Select(c => c.Key)];
        Local = LocalReady.Length > 0 ? LocalReady : [.. all.Where(c => c.IsLocal && c.Backend.IsFallback).Select(c => c.Key)];
    }

    /// <summary>All that serve, terminating ones included.</summary>
    public BackendImage[] Serving { get; }

    /// <summary>Whom policy Cluster may choose (R11).</summary>
    public BackendKey[] Cluster { get; }

    /// <summary>Whom policy Local may choose (R12).</summary>
    public BackendKey[] Local { get; }

    /// <summary>Ready ones of this node: those that health checks count.</summary>
    public BackendKey[] LocalReady { get; }

    /// <summary>A usable backend exists somewhere in the cluster: no slots then means drop, not reject (R15, R16).</summary>
    public bool AnyUsable { get; }

    public static BackendSets Of(
        ImmutableArray<BackendSlice> slices, string portName, IpProtocol protocol, bool isIpv4, string nodeName, string zone)
    {
        var candidates = new List<Candidate>();
        var known = new Dictionary<BackendKey, int>();
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

        return new BackendSets(candidates, nodeName, zone);
    }

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
        /// <summary>The same address and port twice counts once; the lower rank stays. An address that was given to a new pod
        /// is listed as terminating (the old pod) and as live (the new one): the live one is the truth (R9).</summary>
        public int Rank => (Backend.IsTerminating ? 4 : 0) + (Backend.IsReady ? 0 : 2) + (IsLocal ? 0 : 1);
    }
}
