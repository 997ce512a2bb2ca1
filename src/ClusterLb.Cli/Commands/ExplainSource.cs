using ClusterLb.Agent;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Explain;
using ClusterLb.Cli.Output;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Cli.Commands;

/// <summary>The maps that an explanation is about, standing still.</summary>
internal sealed class ExplainSource : IDisposable
{
    private readonly IDisposable _owner;
    private readonly string? _stateDir;
    private readonly ClusterStateStore? _store;

    private ExplainSource(LbMaps maps, IDisposable owner, string? stateDir, ClusterStateStore? store)
    {
        Maps = maps;
        _owner = owner;
        _stateDir = stateDir;
        _store = store;
    }

    /// <summary>In memory.</summary>
    public LbMaps Maps { get; }

    /// <summary>A copy of the maps of a state directory.</summary>
    /// <exception cref="CommandException">There are none.</exception>
    public static ExplainSource OfStateDir(string stateDir)
    {
        using SharedLbMaps live = StateFiles.OpenMaps(stateDir);
        LbMaps copy = LbMapsCopy.Of(live);
        return new ExplainSource(copy, copy, stateDir, store: null);
    }

    /// <summary>Manifests, compiled. What is wrong with them is said on standard error.</summary>
    public static ExplainSource OfManifests(AgentOptions options, Terminal terminal)
    {
        string directory = options.ManifestDirectory!;
        if (!Directory.Exists(directory))
        {
            throw new CommandException($"cannot read the manifests of {directory}", "there is no such directory");
        }

        CompiledCluster cluster = CompiledCluster.Of(options);
        foreach (ObjectProblem problem in cluster.Store.Problems)
        {
            terminal.Error.WriteLine($"clusterlb: {problem}");
        }

        return new ExplainSource(cluster.Maps, cluster, stateDir: null, cluster.Store);
    }

    /// <summary>With the live flow of exactly this tuple, or why that cannot be known.</summary>
    public Explanation WithLiveFlow(Explanation explanation, FlowTuple tuple)
    {
        if (_stateDir is null)
        {
            return explanation;
        }

        try
        {
            FlowSnapshot? flow = FlowTables.Read(_stateDir).FirstOrDefault(f => f.Original == tuple);
            return flow is null ? explanation : explanation with
            {
                LiveFlow = $"{flow.State} to {flow.Backend}, {flow.ClientPackets} packets out and {flow.BackendPackets} in, " +
                    $"forgotten after {Math.Max(0, flow.RemainingSeconds)} s without a packet",
            };
        }
        catch (UnauthorizedAccessException)
        {
            // The flow tables are for root only; the maps can be explained without them.
            return explanation with { LiveFlowUnknown = "this user may not read the flow tables; run as root" };
        }
        catch (IOException e)
        {
            return explanation with { LiveFlowUnknown = e.Message };
        }
    }

    /// <summary>With who is left out and why: the maps hold only who is not.</summary>
    public async Task<Explanation> WithDecisionsAsync(Explanation explanation, FlowTuple tuple)
    {
        if (explanation.Frontend is not { Service.Length: > 0 } frontend)
        {
            return explanation;
        }

        if (_store is not null)
        {
            return BackendDecisions.Of(_store, frontend.Service, Enum.Parse<IpProtocol>(frontend.Protocol, ignoreCase: true), tuple.IsIpv4) is { } known
                ? explanation.With(known)
                : explanation;
        }

        try
        {
            using var agent = new AdminClient(_stateDir!);
            return explanation.With(await agent.DecisionsAsync(frontend.Service, frontend.Protocol, tuple.IsIpv4));
        }
        catch (AdminException e)
        {
            return explanation with { LeftOutUnknown = e.Message };
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _owner.Dispose();
}
