using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Explain;

/// <summary>Tells what happens to a connection: sends real packets through the real pipeline, once per slot, and reads the bytes.</summary>
/// <remarks>
/// It decides nothing itself. The maps are consulted only for how many slots to try, and afterwards to put names and reasons
/// to what the packets have shown. It lives beside the agent because it joins both planes as the agent does, in one process
/// and without a kernel.
/// </remarks>
public sealed class Explainer(LbMaps maps)
{
    private const int FlowsOfATrial = 64; // one is needed

    /// <summary>Explains the first packet of a new connection.</summary>
    /// <param name="tuple">For ICMP echo both ports are the identifier.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    public Explanation Explain(FlowTuple tuple, long nowMs = 0) => Explain(tuple, Trials(tuple, nowMs));

    /// <summary>Explains what trials have shown.</summary>
    internal Explanation Explain(FlowTuple tuple, IReadOnlyList<Trial> trials)
    {
        ProbeResult first = trials[0].First;
        ExplainedFrontend? frontend = FrontendOf(tuple, first);
        var words = new Wording(maps, tuple);
        return new Explanation
        {
            Protocol = Wording.ProtocolOf(tuple.Protocol),
            Source = Wording.EndOf(tuple.Source, tuple.SourcePort, tuple.Protocol),
            Destination = Wording.EndOf(tuple.Destination, tuple.DestinationPort, tuple.Protocol),
            SourceKind = words.SourceKind,
            DestinationKind = words.DestinationKind,
            Verdict = Wording.VerdictOf(first.Verdict),
            Reason = first.Meta.DropReason == DropReason.None ? null : first.Meta.DropReason.ToString(),
            Why = Wording.Why(first, frontend),
            Frontend = frontend,
            NearMisses = frontend is null ? new NearMisses(maps).Find(tuple) : null,
            Backends = [.. trials.Where(t => t.First.Verdict == Verdict.Forward).Select(t => Describe(t, tuple, words, frontend))],
            Answer = first.Verdict == Verdict.Reject ? first.Text : null,
        };
    }

    /// <summary>One connection per slot there may be, each with flow tables of its own; one per backend that came out.</summary>
    internal IReadOnlyList<Trial> Trials(FlowTuple tuple, long nowMs)
    {
        var found = new Dictionary<(Verdict, DropReason, IpAddr, ushort), Trial>();
        var inOrder = new List<Trial>();
        uint tries = Math.Max(1, TriesFor(tuple));
        for (uint i = 0; i < tries; i++)
        {
            // A number chooses slot floor(number * count / 2^32): these reach all slots of any frontend with at most so many.
            uint random = (uint)((((ulong)i << 32) + tries - 1) / tries);
            Trial trial = Try(tuple, random, nowMs);
            FlowTuple to = trial.First.Written ?? default;
            if (found.TryAdd((trial.First.Verdict, trial.First.Meta.DropReason, to.Destination, to.DestinationPort), trial))
            {
                inOrder.Add(trial);
            }
        }

        return inOrder;
    }

    private Trial Try(FlowTuple tuple, uint random, long nowMs)
    {
        using var dataplane = new InProcessDataplane(maps, new ScriptedRandomSource(random), FlowsOfATrial);
        ProbeResult first = dataplane.SendFirst(tuple, nowMs);
        ProbeResult? answer = first is { Verdict: Verdict.Forward, Written: { } sent }
            ? dataplane.SendAnswer(sent.Reverse, nowMs)
            : null;
        return new Trial(first, answer);
    }

    /// <summary>So many numbers, evenly spread, reach every slot of the frontend that the packet will match.</summary>
    private uint TriesFor(FlowTuple tuple) => maps.Services.Entries()
        .Where(pair => pair.Key.Slot == 0 && pair.Key.Port == tuple.DestinationPort && pair.Key.Protocol == tuple.Protocol)
        .Select(pair => TriesFor(pair.Key.Scope, pair.Value))
        .DefaultIfEmpty()
        .Max();

    /// <summary>With a split, all slots of a group lie in its share of the numbers.</summary>
    private static uint TriesFor(LookupScope scope, in ServiceEntry head)
    {
        uint share = !head.Flags.HasFlag(ServiceFlags.Split) ? 100 : scope.IsCanary() ? head.SharePercent : 100 - head.SharePercent;
        return share is 0 or 100 ? head.Count : (head.Count * 100 / share) + 2;
    }

    private ExplainedFrontend? FrontendOf(FlowTuple tuple, ProbeResult result)
    {
        if (result.Meta.RevNatId == 0 || !maps.ReverseNat.TryLookup(result.Meta.RevNatId, out ReverseNatEntry frontend))
        {
            return null;
        }

        var key = new ServiceKey(frontend.Address, frontend.Port, frontend.Protocol, LookupScope.External, 0);
        if (!maps.Services.TryLookup(key, out ServiceEntry entry))
        {
            return null;
        }

        string scope = "all";
        if (entry.Flags.HasFlag(ServiceFlags.TwoScopes))
        {
            bool isInside = new Wording(maps, tuple).IsInsideCluster;
            scope = isInside ? "internal" : "external";
            key = key with { Scope = isInside ? LookupScope.Internal : LookupScope.External };
        }

        bool isSplit = entry.Flags.HasFlag(ServiceFlags.Split);
        return new ExplainedFrontend(
            entry.RevNatId,
            Wording.AddressOf(frontend.Address, frontend.Port, frontend.Protocol),
            maps.ServiceNames.TryLookup(entry.ServicePortId, out string? name) ? name : "",
            Wording.TypeOf(entry.Flags),
            scope,
            IsLocal(entry.Flags, scope) ? "Local" : "Cluster",
            Wording.ProtocolOf(frontend.Protocol),
            CountOf(key),
            entry.Flags.HasFlag(ServiceFlags.Affinity) ? entry.AffinityTimeoutSeconds : null,
            AlgorithmNames.Of(entry.Algorithm),
            isSplit ? entry.SharePercent : null,
            isSplit ? CountOf(key with { Scope = key.Scope.Canary() }) : null);
    }

    /// <summary>The scope's backends are those of this node: by the policy of the frontend's kind, and for sources outside only if there are two.</summary>
    private static bool IsLocal(ServiceFlags flags, string scope) =>
        flags.HasFlag(ServiceFlags.InternalLocalScope) || (flags.HasFlag(ServiceFlags.ExternalLocalScope) && scope != "internal");

    private uint CountOf(ServiceKey head) => maps.Services.TryLookup(head, out ServiceEntry entry) ? entry.Count : 0;

    private ExplainedBackend Describe(Trial trial, FlowTuple tuple, Wording words, ExplainedFrontend? frontend)
    {
        FlowTuple sent = trial.First.Written ?? default;
        FlowTuple answer = trial.Answer?.Written ?? default;
        return new ExplainedBackend(
            sent.Destination.WithPort(sent.DestinationPort),
            trial.First.Meta.BackendId,
            SlotOf(trial.First),
            trial.First.Meta.Selection.IsCanary,
            Wording.ChosenBy(trial.First.Meta.Selection),
            trial.First.Meta.Masqueraded,
            words.MasqueradeWhy(trial.First.Meta.Masqueraded, sent, frontend),
            sent.ToString(),
            answer.ToString(),
            trial.AnswersFrom(tuple));
    }

    private uint? SlotOf(ProbeResult result)
    {
        if (!maps.ReverseNat.TryLookup(result.Meta.RevNatId, out ReverseNatEntry frontend))
        {
            return null;
        }

        LookupScope[] own = [LookupScope.External, LookupScope.Internal];
        foreach (LookupScope scope in result.Meta.Selection.IsCanary ? own.Select(LookupScopes.Canary) : own)
        {
            var key = new ServiceKey(frontend.Address, frontend.Port, frontend.Protocol, scope, 0);
            for (uint slot = 1; maps.Services.TryLookup(key with { Slot = slot }, out ServiceEntry entry); slot++)
            {
                if (entry.BackendId == result.Meta.BackendId)
                {
                    return slot;
                }
            }
        }

        return null;
    }
}
