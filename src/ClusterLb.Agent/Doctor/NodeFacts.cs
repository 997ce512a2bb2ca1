using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Firewall;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent.Doctor;

/// <summary>What checks look at, read once: what an agent left in its state directory, and what it tells if it runs.</summary>
/// <remarks>The kernel is read by the checks themselves. One thread.</remarks>
internal sealed class NodeFacts
{
    private IReadOnlyList<FirewallChain>? _firewall;
    private NodeEntry? _inMaps;

    /// <summary>DIR.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>What the last agent was started with; null if none ever was.</summary>
    public AgentRecord? Record { get; init; }

    /// <summary>What is steered, here and since this boot; null if nothing is, or if only root may read it.</summary>
    public SteeringRecord? Steering { get; init; }

    /// <summary>Why the record of steering cannot be used though it is there; empty if it can.</summary>
    public string RecordProblem { get; init; } = "";

    /// <summary>The record of steering tells of another network namespace than the calling process's.</summary>
    public bool IsElsewhere { get; init; }

    /// <summary>What a running agent tells; null if none answers.</summary>
    public AgentStatus? Agent { get; init; }

    /// <summary>Why none answers; empty if one does.</summary>
    public string AgentProblem { get; init; } = "";

    /// <summary>Name of the TUN device that is there, or would be.</summary>
    public string Device => Steering?.Device ?? Record?.Device ?? new TunOptions().Name;

    /// <summary>Marks, tables and priorities that are in use, or would be.</summary>
    public SteeringOptions Options => Steering?.Options ?? new SteeringOptions();

    /// <summary>Every netfilter chain, ours included; read when first asked for.</summary>
    /// <exception cref="SteeringException">It cannot be read.</exception>
    public IReadOnlyList<FirewallChain> Firewall
    {
        get => _firewall ??= FirewallSnapshot.Read();
        init => _firewall = value;
    }

    /// <summary>What the maps tell the dataplane of this node; null if there are no maps.</summary>
    /// <exception cref="MapFileException">They cannot be read.</exception>
    public NodeEntry? InMaps
    {
        get => _inMaps ??= ReadMaps();
        init => _inMaps = value;
    }

    /// <summary>Those of others.</summary>
    public IEnumerable<FirewallChain> ForeignChains => Firewall.Where(chain =>
        chain is not ({ Program: "nft", Family: "inet", Table: NftRuleset.Table } or { Program: "nft", Family: "bridge", Table: BridgeRuleset.Table }));

    /// <summary>The address families that are steered, or would be: those that the kernel has.</summary>
    public IEnumerable<bool> Families =>
        Sysctls.KernelFamilies.Where(ipv6 => Steering is null || Steering.FoundRules(ipv6) is not null);

    /// <summary>Reads the state directory and asks the agent.</summary>
    /// <exception cref="AgentException">The state directory is of another version.</exception>
    public static async Task<NodeFacts> ReadAsync(string stateDirectory, CancellationToken cancellation = default)
    {
        var file = new SteeringRecordFile(stateDirectory);
        SteeringRecord? steering = null;
        string recordProblem = "";
        try
        {
            steering = IfAllowed(file.Load);
        }
        catch (SteeringException e)
        {
            recordProblem = e.Message;
        }

        (AgentStatus? agent, string problem) = await AskAsync(stateDirectory, cancellation);
        return new NodeFacts
        {
            StateDirectory = stateDirectory,
            Record = AgentRecord.Load(stateDirectory),
            Steering = steering,
            RecordProblem = recordProblem,
            IsElsewhere = steering is null && recordProblem.Length == 0 && IfAllowed(() => file.IsElsewhere()),
            Agent = agent,
            AgentProblem = problem,
        };
    }

    private static async Task<(AgentStatus? Agent, string Problem)> AskAsync(string stateDirectory, CancellationToken cancellation)
    {
        try
        {
            using var admin = new AdminClient(stateDirectory);
            return (await admin.StatusAsync(cancellation), "");
        }
        catch (AdminException e)
        {
            return (null, e.Message);
        }
    }

    private NodeEntry? ReadMaps()
    {
        try
        {
            using SharedLbMaps maps = SharedLbMaps.OpenForReading(StateDirectory);
            return maps.Node.TryLookup(0, out NodeEntry entry) ? entry : null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    // The record is root's; the group that may ask the agent can do without.
    private static T? IfAllowed<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is UnauthorizedAccessException || e.InnerException is UnauthorizedAccessException)
        {
            return default;
        }
    }
}
