using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>What packets have shown to be possible for a flow.</summary>
internal sealed class FlowOutcome
{
    private readonly IReadOnlyList<Trial> _trials;
    private readonly FlowTuple _tuple;

    public FlowOutcome(IReadOnlyList<Trial> trials, FlowTuple tuple)
    {
        _trials = trials;
        _tuple = tuple;
        Verdict = string.Join(" or ", trials.Select(t => Wording.VerdictOf(t.First.Verdict)).Distinct(StringComparer.Ordinal));
        foreach (Trial trial in trials.Where(t => t.First.Verdict == Dataplane.Verdict.Forward))
        {
            MasqueradeByBackend[BackendOf(trial.First)] = trial.First.Meta.Masqueraded;
        }
    }

    /// <summary>One word; several, if it depends on the random choice.</summary>
    public string Verdict { get; }

    /// <summary>Every possible backend.</summary>
    public SortedDictionary<string, bool> MasqueradeByBackend { get; } = new(StringComparer.Ordinal);

    /// <summary>True if every backend sees this node's address; null if the flow is not forwarded.</summary>
    public bool? Masquerade => MasqueradeByBackend.Count == 0 ? null : MasqueradeByBackend.Values.All(m => m);

    /// <summary>Backends see different things.</summary>
    public bool IsMasqueradeMixed => MasqueradeByBackend.Values.Distinct().Count() > 1;

    /// <summary>Address and port that a forwarded packet goes to, read from its bytes.</summary>
    public static string BackendOf(ProbeResult result) =>
        result.Written is { } written ? written.Destination.WithPort(written.DestinationPort) : "";

    /// <summary>What is not as one of the expectations says; of all of them, the one that is missed least.</summary>
    public IReadOnlyList<string> Failures(VectorFlow flow) =>
        flow.Alternatives.Prepend(flow.Expect)
            .Select(expectation => (IReadOnlyList<string>)[.. Failures(expectation, flow.MasqueradeByBackend, isOneSocket: flow.SourcePort is not null)])
            .MinBy(failures => failures.Count)!;

    private IEnumerable<string> Failures(VectorExpectation expected, IReadOnlyDictionary<string, bool>? exceptions, bool isOneSocket)
    {
        if (Verdict != expected.Verdict)
        {
            yield return $"verdict is {Verdict}, expected {expected.Verdict}";
            yield break;
        }

        if (expected.Backends is not null)
        {
            string want = string.Join(", ", expected.Backends.Order(StringComparer.Ordinal));
            string got = string.Join(", ", MasqueradeByBackend.Keys);
            // One socket has one backend, out of those that are possible.
            if (isOneSocket ? MasqueradeByBackend.Keys.Except(expected.Backends).Any() : want != got)
            {
                yield return $"backends are [{got}], expected [{want}]";
            }
        }

        foreach ((string backend, bool masquerade) in MasqueradeByBackend)
        {
            bool? want = exceptions is not null && exceptions.TryGetValue(backend, out bool exception) ? exception : expected.Masquerade;
            if (want is not null && want != masquerade)
            {
                yield return $"masquerade towards {backend} is {masquerade}, expected {want}";
            }
        }

        foreach (Trial trial in _trials.Where(t => t.First.Verdict == Dataplane.Verdict.Forward && !t.AnswersFrom(_tuple)))
        {
            yield return $"the answer of {BackendOf(trial.First)} does not reach the client as one of the frontend";
        }
    }
}
