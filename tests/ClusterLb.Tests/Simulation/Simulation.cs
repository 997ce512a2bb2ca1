using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Simulation;

/// <summary>Runs one history, and checks after each step what must always hold.</summary>
internal sealed class Simulation : IDisposable
{
    private readonly SimulatedCluster _cluster = new();
    private readonly SimulatedNode _node;
    private readonly SimulatedNetwork _network;
    private readonly Dictionary<(string Service, string Port, IpAddr Client), Pin> _pins = [];
    private readonly List<string>? _log;
    private int _resetFlows;
    private int _canaries;
    private int _sctpFlows;
    private int _keptPins;
    private int _livingRestarts;
    private ClusterFacts _synced = ClusterFacts.None;
    private readonly List<ClusterFacts> _unfinished = []; // where a sync is on its way to, or was when its agent died

    private Simulation(int seed, List<string>? log)
    {
        _log = log;
        _node = new SimulatedNode(usesSharedMaps: seed % 3 == 0, flowCapacity: seed % 8 == 7 ? 4 : 1024);
        _network = new SimulatedNetwork(_cluster, _node) { Decided = OnDecided };
        _node.StartAgent(_cluster);
    }

    /// <summary>New flows that were compared with what the objects say.</summary>
    public int Compared { get; private set; }

    /// <summary>Runs a history.</summary>
    /// <param name="seed">Of which it is: decides which maps are used, and how large the flow table is.</param>
    /// <param name="steps">All of it, or some.</param>
    /// <param name="log">Gets a line per step.</param>
    public static SimulationResult Run(int seed, IReadOnlyList<Step> steps, List<string>? log = null)
    {
        using var simulation = new Simulation(seed, log);
        for (int i = 0; i < steps.Count; i++)
        {
            try
            {
                string what = simulation.Do(steps[i]);
                log?.Add($"{i,4} {steps[i].Kind,-22} {what}");
                simulation.CheckTables();
            }
            catch (Exception e) when (e is SimulationException or IndexOutOfRangeException or InvalidOperationException or ArgumentException or NullReferenceException)
            {
                log?.Add($"{i,4} {steps[i].Kind,-22} BROKEN: {(e is SimulationException ? e.Message : e)}");
                return simulation.Result(e.Message);
            }
        }

        return simulation.Result(null);
    }

    public void Dispose() => _node.Dispose();

    private SimulationResult Result(string? broken) => new(broken, _network.Digest, Compared)
    {
        Reassembled = _network.Reassembled,
        AnsweredPings = _network.AnsweredPings,
        ResetFlows = _resetFlows,
        Canaries = _canaries,
        Evictions = (int)_node.Evictions,
        SctpFlows = _sctpFlows,
        KeptPins = _keptPins,
        LivingRestarts = _livingRestarts,
    };

    private string Do(Step step)
    {
        var random = new Random(step.Seed);
        _node.Random.BeginStep(step.Seed);
        _node.NowMs += random.Next(3);
        switch (step.Kind)
        {
            case StepKind.ClientSends:
                return _network.ClientSends(random);
            case StepKind.Deliver:
                return _network.Deliver(random);
            case StepKind.Duplicate:
                return _network.Duplicate(random);
            case StepKind.Lose:
                return _network.Lose(random);
            case StepKind.RouterComplains:
                return _network.RouterComplains(random);
            case StepKind.Stray:
                return _network.Stray(random);
            case StepKind.PodChanges:
                return _cluster.ChangePod(random);
            case StepKind.EndpointsArePublished:
                return _cluster.Publish(random, _node.Store);
            case StepKind.ServiceChanges:
                return _cluster.ChangeService(random, _node.Store);
            case StepKind.NodeChanges:
                return _cluster.ChangeNode(random, _node.Store);
            case StepKind.Sync when _node.Store is not null:
                return Sync(random);
            case StepKind.TimePasses:
                long ms = random.Next(8) switch { 0 => 86_400_000, 1 => 3_700_000, < 4 => random.Next(60_000, 200_000), _ => random.Next(1, 20_000) };
                _node.NowMs += ms;
                _network.TimePasses(ms);
                return $"{ms} ms; {(random.Next(3) > 0 ? LookForOrphans() : "")}";
            case StepKind.Sweep:
                _node.Sweep();
                return "";
            case StepKind.AgentDies:
                _node.StopAgent();
                return "";
            case StepKind.AgentStarts:
                _unfinished.Add(_cluster.Facts); // what concerns the node is written before the list is complete
                _node.StartAgent(_cluster);
                return "";
            case StepKind.AgentDiesWhileItWrites when _node.Store is not null:
                int writes = random.Next(12);
                _unfinished.Add(_cluster.Facts);
                _node.KillAgentAfter(writes);
                return $"after {writes} writes";
            case StepKind.DataplaneRestarts:
                _livingRestarts += _node.Flows().Count > 0 ? 1 : 0;
                _node.RestartDataplane();
                return "";
            case StepKind.LooksForOrphans:
                return LookForOrphans();
            default:
                return "no agent runs";
        }
    }

    private string LookForOrphans()
    {
        IReadOnlyList<byte[]> questions = _node.LookForOrphans();
        _network.Ask(questions);
        return questions.Count == 0 ? "" : $"asks {string.Join(", ", questions.Select(packet => PacketText.Describe(packet)))}";
    }

    /// <summary>While the agent writes, packets go on: each of them finds the maps as they were left by the last write.</summary>
    private string Sync(Random random)
    {
        _unfinished.Add(_cluster.Facts);
        int arrived = 0;
        _node.Sync(() =>
        {
            if (random.Next(4) == 0)
            {
                _node.Random.BeginStep(random.Next());
                string what = random.Next(2) == 0 ? _network.Deliver(random) : _network.ClientSends(random);
                _log?.Add($"       in motion:           {what}");
                arrived++;
            }
        });
        _node.NowMs++; // the pipeline looks at the node's entry once per millisecond
        _synced = _unfinished[^1];
        _unfinished.Clear();
        DropPins();
        return $"{arrived} packets meanwhile; {(random.Next(3) > 0 ? LookForOrphans() : "")}";
    }

    private void OnDecided(byte[] packet, Verdict verdict, byte[] written, PacketOutcome outcome)
    {
        _resetFlows += outcome.Reason == DropReason.BackendGone ? 1 : 0;
        bool isFirst = PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at) == DropReason.None && !at.IsLaterFragment
            && at.Protocol switch
            {
                IpProtocol.Udp => true,
                IpProtocol.Sctp => !at.IsFragment, // which begins no association
                IpProtocol.Tcp => at.IsOpening,
                _ => CheckPing(packet, tuple, at, verdict, written),
            };
        bool isDecision = outcome.IsNewFlow || verdict != Verdict.Forward;
        if (!isFirst || !isDecision || !_node.IsSynced || outcome.Reason is DropReason.ConntrackFull or DropReason.RejectRateLimited or DropReason.UntranslatableReply
            || !SimulatedCluster.Frontends.Any(frontend => frontend.Destination == tuple.Destination))
        {
            return;
        }

        Compared++;
        (IpAddr, ushort) backend = default;
        bool masqueraded = false;
        if (verdict == Verdict.Forward)
        {
            FlowTuple to = ReferencePipeline.TupleOf(written);
            backend = (to.Destination, to.DestinationPort);
            masqueraded = to.Source != tuple.Source;
        }

        Expectation expected = _synced.Of(tuple);
        Expectation[] coming = [.. _unfinished.Select(facts => facts.Of(tuple))];
        if (!Fits(expected) && !Array.Exists(coming, c => Fits(c) || IsBetween(expected, c)))
        {
            throw new SimulationException(
                $"{tuple} met {verdict} {outcome.Reason} {backend.Item1}{(masqueraded ? ", masqueraded" : "")}; the objects say {Text(expected)}"
                + string.Concat(coming.Select(c => $", or {Text(c)}")));
        }

        if (verdict == Verdict.Forward)
        {
            _sctpFlows += at.Protocol == IpProtocol.Sctp ? 1 : 0;
            _canaries += expected.Service?.Split is null ? 0 : 1;
            CheckPin(expected, tuple, backend);
        }

        bool Fits(Expectation expectation)
        {
            if (verdict != expectation.Verdict)
            {
                return false;
            }

            IpAddr node = SimulatedCluster.NodeAddresses[tuple.IsIpv4 ? 0 : 1];
            bool wantsMasquerade = (expectation.Masquerades || backend.Item1 == tuple.Source) && tuple.Source != node;
            return verdict != Verdict.Forward || (expectation.Backends.Contains(backend) && masqueraded == wantsMasquerade);
        }

        // In the middle of writing the backends of one state may be found with the rules of the other; a service that comes or goes is refused.
        bool IsBetween(Expectation before, Expectation after) => verdict switch
        {
            Verdict.Forward => before.Backends.Contains(backend) || after.Backends.Contains(backend),
            _ => before != after || (before.Verdict is Verdict.Drop or Verdict.Reject && verdict is Verdict.Drop or Verdict.Reject),
        };
    }

    /// <summary>Answered if the objects say so, by the bytes that its receiver would send.</summary>
    /// <returns>False: it begins no flow.</returns>
    private bool CheckPing(byte[] packet, FlowTuple tuple, HeaderOffsets at, Verdict verdict, byte[] written)
    {
        if (at.IcmpKind != IcmpKind.EchoRequest || !_node.IsSynced || _unfinished.Count > 0)
        {
            return false;
        }

        Verdict expected = _synced.OfPing(tuple.Source, tuple.Destination);
        if (verdict != expected)
        {
            throw new SimulationException($"a ping from {tuple.Source} to {tuple.Destination} met {verdict}; the objects say {expected}");
        }

        if (verdict == Verdict.Forward && !at.IsFragment && !written.AsSpan().SequenceEqual(SimulatedNetwork.AnswerTo(packet)))
        {
            throw new SimulationException($"a ping from {tuple.Source} to {tuple.Destination} was answered by {PacketText.Describe(written)}");
        }

        return false;
    }

    /// <summary>A client with session affinity stays where it is, while that is eligible and its time is not over (R31 to R33).</summary>
    private void CheckPin(Expectation expected, FlowTuple tuple, (IpAddr, ushort) backend)
    {
        if (_unfinished.Count > 0)
        {
            _pins.Clear(); // whatever an unfinished sync made of it
        }

        if (_unfinished.Count > 0 || expected.Service is not { AffinitySeconds: > 0 } service)
        {
            return;
        }

        (string, string, IpAddr) key = (service.Name.Name, expected.ServicePort, tuple.Source);
        if (_pins.TryGetValue(key, out Pin pin) && _node.NowMs < pin.AtMs + (service.AffinitySeconds * 1000L)
            && expected.Backends.Contains(pin.Backend) && pin.Backend != backend)
        {
            throw new SimulationException($"{tuple} went to {backend.Item1}, but its client is pinned to {pin.Backend.Item1}");
        }

        _keptPins += pin.Backend == backend ? 1 : 0;
        _pins[key] = new Pin(backend, _node.NowMs);
    }

    /// <summary>State dies with the endpoint, and with the service (R33).</summary>
    private void DropPins()
    {
        foreach (((string service, string port, IpAddr client), Pin pin) in _pins.ToArray())
        {
            bool exists = _synced.Slices.Any(slice => slice.Service.Name == service
                && slice.Backends.Any(backend => backend.Address == pin.Backend.Address && backend.IsServing))
                && _synced.Services.Any(s => s.Name.Name == service && s.AffinitySeconds > 0);
            if (!exists)
            {
                _pins.Remove((service, port, client));
            }
        }
    }

    /// <summary>No two flows share a tuple, whichever direction.</summary>
    private void CheckTables()
    {
        var seen = new HashSet<FlowTuple>();
        foreach (FlowSnapshot flow in _node.Flows())
        {
            if (!seen.Add(flow.Original) || !seen.Add(flow.Reply))
            {
                throw new SimulationException($"two flows have a tuple of {flow.Original}, answered by {flow.Reply}");
            }
        }
    }

    private static string Text(Expectation expected) => expected.Verdict != Verdict.Forward ? expected.Verdict.ToString()
        : $"{string.Join(" or ", expected.Backends.Select(b => b.Address.WithPort(b.Port)))}{(expected.Masquerades ? ", masqueraded" : "")}";

    private readonly record struct Pin((IpAddr Address, ushort Port) Backend, long AtMs);
}

/// <summary>How a history ended.</summary>
/// <param name="Broken">What did not hold; null if all did.</param>
/// <param name="Digest">Of all that came out.</param>
/// <param name="Compared">New flows that were compared with what the objects say.</param>
internal sealed record SimulationResult(string? Broken, ulong Digest, int Compared)
{
    /// <summary>Packets in parts that arrived whole.</summary>
    public int Reassembled { get; init; }

    /// <summary>Answers to pings that arrived.</summary>
    public int AnsweredPings { get; init; }

    /// <summary>Packets of connections whose backend was gone for good.</summary>
    public int ResetFlows { get; init; }

    /// <summary>New flows of services that give a share of them away.</summary>
    public int Canaries { get; init; }

    /// <summary>Flows that had to make room for others.</summary>
    public int Evictions { get; init; }

    /// <summary>New flows by SCTP.</summary>
    public int SctpFlows { get; init; }

    /// <summary>New flows of clients that session affinity kept where they were.</summary>
    public int KeptPins { get; init; }

    /// <summary>Dataplanes that began with flows of the one before.</summary>
    public int LivingRestarts { get; init; }

    /// <summary>Both together, without what was broken.</summary>
    public SimulationResult Plus(SimulationResult other) => new(null, 0, Compared + other.Compared)
    {
        Reassembled = Reassembled + other.Reassembled,
        AnsweredPings = AnsweredPings + other.AnsweredPings,
        ResetFlows = ResetFlows + other.ResetFlows,
        Canaries = Canaries + other.Canaries,
        Evictions = Evictions + other.Evictions,
        SctpFlows = SctpFlows + other.SctpFlows,
        KeptPins = KeptPins + other.KeptPins,
        LivingRestarts = LivingRestarts + other.LivingRestarts,
    };
}
