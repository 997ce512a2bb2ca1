using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>Opens the connections of a case's flows, on a clock of its own.</summary>
internal sealed class VectorClient : IDisposable
{
    private const ushort FirstPort = 40_000;
    private const int PortCount = 20_000;
    private const int FlowsOfACase = 32_768;
    private const long StartMs = 1_000_000; // later than any timeout that counts from 0
    private const int SpreadAttempts = 2; // limits sit about four sigma out: one repetition before it counts

    private readonly Explainer _explainer;
    private readonly InProcessDataplane _dataplane;
    private readonly Dictionary<string, string> _backendOfGroup = new(StringComparer.Ordinal);
    private long _nowMs = StartMs;
    private int _connections;

    /// <summary>A client that has opened no connection yet.</summary>
    /// <param name="caseId">Seeds the random choices, so that every run is the same.</param>
    /// <param name="maps">They may change between flows.</param>
    public VectorClient(string caseId, LbMaps maps)
    {
        _explainer = new Explainer(maps);
        _dataplane = new InProcessDataplane(maps, new FastRandomSource(SeedOf(caseId)), FlowsOfACase);
    }

    /// <summary>Tries one flow.</summary>
    public VectorFlowReport Run(VectorFlow flow)
    {
        _nowMs += (long)(flow.WaitSeconds * 1000);
        if (Unsupported(flow) is { } reason)
        {
            return new VectorFlowReport { Name = flow.Name, SkipReason = reason };
        }

        FlowTuple tuple = TupleOf(flow, flow.SourcePort ?? FirstPort);
        IReadOnlyList<Trial> trials = flow.SourcePort is null ? _explainer.Trials(tuple, _nowMs) : [SendOn(tuple)];
        Explanation explanation = _explainer.Explain(tuple, trials);
        var outcome = new FlowOutcome(trials, tuple);
        List<string> failures = [.. outcome.Failures(flow)];
        Dictionary<string, int>? connections = null;
        if (flow.Spread is not null)
        {
            connections = Spread(flow, flow.Spread, outcome, failures);
        }

        if (flow.Affinity is not null)
        {
            connections = Stick(flow, flow.Affinity, outcome, failures);
        }

        return new VectorFlowReport
        {
            Name = flow.Name,
            Verdict = outcome.Verdict,
            Backends = [.. outcome.MasqueradeByBackend.Keys],
            Masquerade = outcome.Masquerade,
            MasqueradeByBackend = outcome.IsMasqueradeMixed ? outcome.MasqueradeByBackend : null,
            Frontend = explanation.Frontend?.Address,
            Service = explanation.Frontend?.Service,
            Reason = explanation.Reason,
            Why = explanation.Why,
            Connections = connections,
            Pass = failures.Count == 0,
            Failures = failures.Count == 0 ? null : failures,
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _dataplane.Dispose();

    private static string? Unsupported(VectorFlow flow)
    {
        if (flow.Unknown is { Count: > 0 } unknown)
        {
            return $"unknown field '{unknown.Keys.First()}'";
        }

        string? tag = flow.Tags.FirstOrDefault(t => t != "loopback-nodeport"); // which we offer
        return tag is null ? null : $"unknown tag '{tag}'";
    }

    /// <summary>Every backend must get its share of many connections.</summary>
    private Dictionary<string, int> Spread(VectorFlow flow, VectorSpread spread, FlowOutcome outcome, List<string> failures)
    {
        string failure = "";
        Dictionary<string, int> counts = [];
        for (int attempt = 0; attempt < SpreadAttempts; attempt++)
        {
            counts = Count(spread.SourceRange is null
                ? Enumerable.Repeat(AddressOf(flow.SourceIp), spread.Connections)
                : Range(spread.SourceRange).SelectMany(address => Enumerable.Repeat(address, spread.ConnectionsPerClient)));
            int all = counts.Values.Sum();
            string? starved = outcome.MasqueradeByBackend.Keys.FirstOrDefault(
                backend => counts.GetValueOrDefault(backend) < spread.MinSharePerBackend * all);
            if (starved is null)
            {
                return counts;
            }

            failure = $"{starved} got {counts.GetValueOrDefault(starved)} of {all} connections, expected at least {spread.MinSharePerBackend:P0}";
        }

        failures.Add(failure);
        return counts;

        Dictionary<string, int> Count(IEnumerable<IpAddr> sources)
        {
            var result = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (IpAddr source in sources)
            {
                string backend = Connect(flow, source);
                result[backend] = result.GetValueOrDefault(backend) + 1;
            }

            return result;
        }
    }

    /// <summary>All connections of a group must reach one backend.</summary>
    private Dictionary<string, int> Stick(VectorFlow flow, VectorAffinity affinity, FlowOutcome outcome, List<string> failures)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < affinity.Connections; i++)
        {
            string backend = Connect(flow, AddressOf(flow.SourceIp));
            counts[backend] = counts.GetValueOrDefault(backend) + 1;
        }

        if (counts.Count == 0 || outcome.MasqueradeByBackend.Count == 0)
        {
            return counts;
        }

        string expected = _backendOfGroup.TryGetValue(affinity.Group, out string? known) ? known : counts.Keys.First();
        _backendOfGroup[affinity.Group] = expected;
        if (counts.Count > 1 || !counts.ContainsKey(expected))
        {
            string got = string.Join(", ", counts.Select(pair => $"{pair.Key} ({pair.Value})"));
            failures.Add($"connections of affinity group '{affinity.Group}' went to {got}, expected all to reach {expected}");
        }

        return counts;
    }

    /// <summary>The next packet of a socket, which the dataplane may know already.</summary>
    private Trial SendOn(FlowTuple tuple)
    {
        ProbeResult sent = _dataplane.SendFirst(tuple, _nowMs);
        ProbeResult? answer = sent is { Verdict: Verdict.Forward, Written: { } written } ? _dataplane.SendAnswer(written.Reverse, _nowMs) : null;
        return new Trial(sent, answer);
    }

    /// <summary>Opens a connection from a port that this case has not used yet.</summary>
    /// <returns>Where it went; the verdict, if it went nowhere.</returns>
    private string Connect(VectorFlow flow, IpAddr source)
    {
        var port = (ushort)(FirstPort + (++_connections % PortCount));
        ProbeResult result = _dataplane.SendFirst(TupleOf(flow, port) with { Source = source }, _nowMs);
        return result.Verdict == Verdict.Forward ? FlowOutcome.BackendOf(result) : Wording.VerdictOf(result.Verdict);
    }

    private static FlowTuple TupleOf(VectorFlow flow, ushort sourcePort)
    {
        IpProtocol protocol = Enum.TryParse(flow.Protocol, ignoreCase: true, out IpProtocol parsed) && parsed is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp
            ? parsed
            : throw new VectorException($"flow '{flow.Name}': '{flow.Protocol}' is not TCP, UDP or SCTP");
        return new FlowTuple(AddressOf(flow.SourceIp), AddressOf(flow.DestIp), sourcePort, flow.DestPort, protocol);
    }

    private static IpAddr AddressOf(string text) =>
        IpAddr.TryParse(text, out IpAddr address) ? address : throw new VectorException($"'{text}' is not an IP address");

    /// <summary>All addresses of <c>first-last</c>.</summary>
    private static IEnumerable<IpAddr> Range(string text)
    {
        string[] ends = text.Split('-');
        if (ends.Length != 2)
        {
            throw new VectorException($"'{text}' is not a range of addresses (first-last)");
        }

        IpAddr last = AddressOf(ends[1]);
        for (IpAddr address = AddressOf(ends[0]); address <= last; address = Next(address))
        {
            yield return address;
        }
    }

    private static IpAddr Next(IpAddr address) => address.IsIpv4
        ? IpAddr.FromIpv4(address.Ipv4 + 1)
        : IpAddr.FromIpv6(address.High, address.Low + 1);

    /// <summary>FNV-1a: the runtime's own hash of a text differs from run to run.</summary>
    private static ulong SeedOf(string text)
    {
        ulong hash = 14_695_981_039_346_656_037;
        foreach (char c in text)
        {
            hash = (hash ^ c) * 1_099_511_628_211;
        }

        return hash;
    }
}
