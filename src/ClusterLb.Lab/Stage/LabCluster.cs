using System.Diagnostics;

namespace ClusterLb.Lab.Stage;

/// <summary>
/// A cluster in network namespaces of this machine: two nodes, a switch, an external client, pods with echo servers, an
/// agent on each node. No Kubernetes; its objects are manifests in a folder.
/// </summary>
/// <remarks>Not thread-safe. Needs root. Several labs with different names do not disturb each other.</remarks>
public sealed class LabCluster : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private LabCluster(LabState state, LabTopology topology)
    {
        State = state;
        Topology = topology;
        Manifests = new ManifestFolder(Path.Combine(Folder, "manifests"));
        Agents = [.. topology.Nodes.Select(n => new AgentProcess(
            n, Namespace(n.Name), state.Program, Path.Combine(Folder, n.Name), Manifests.Path))];
    }

    /// <summary>Where the folders of all labs are: in memory, because the agents' maps are in them.</summary>
    public static string Root => "/dev/shm/clusterlb-lab";

    /// <summary>What it consists of.</summary>
    public LabTopology Topology { get; }

    /// <summary>The objects that the agents see.</summary>
    public ManifestFolder Manifests { get; }

    /// <summary>One per node; they run only in a lab with agents.</summary>
    public IReadOnlyList<AgentProcess> Agents { get; }

    /// <summary>Its name.</summary>
    public string Name => State.Name;

    /// <summary>How clusterlb is started.</summary>
    public IReadOnlyList<string> Program => State.Program;

    /// <summary>Where its manifests, configurations, logs and state directories are.</summary>
    public string Folder => FolderOf(Name);

    internal LabState State { get; }

    internal string StateFile => StateFileOf(Name);

    internal string ReadyFile => Path.Combine(Folder, "pods.ready");

    /// <summary>Whether <see cref="UpAsync"/> may begin: tools and rights are there, and nobody else has the lab's names.</summary>
    /// <exception cref="LabException">It may not, and why.</exception>
    public static void CheckCanBeSetUp(LabOptions options)
    {
        string[] problems = [.. options.Problems(), .. Tool.Missing()];
        if (problems.Length > 0)
        {
            throw new LabException($"lab '{options.Name}' cannot be set up: {string.Join("; ", problems)}");
        }

        if (ReadState(options.Name) is { } state)
        {
            if (IsRunning(state))
            {
                throw new LabException(
                    $"lab '{options.Name}' is already up; take it down with 'clusterlb lab down{NameArgument(options.Name)}', " +
                    "or choose another --name");
            }
        }
        else if (ExistingNamespaces(options.Name, options.Topology) is { Count: > 0 } foreign)
        {
            throw new LabException(
                $"lab '{options.Name}' cannot be set up: network namespace {string.Join(", ", foreign.Select(n => n.Name))} exists " +
                "and is not known to be the lab's; choose another --name, or remove it with 'ip netns del'");
        }
    }

    /// <summary>Sets a lab up; what a dead one of the same name left, and labs whose owner is gone, are taken down first.</summary>
    /// <param name="options">How it shall be.</param>
    /// <param name="say">Called with a line for each step.</param>
    /// <param name="cancel">Checked between the steps; what was set up is taken down again.</param>
    /// <exception cref="LabException">Something is missing or failed; nothing is left behind.</exception>
    public static async Task<LabCluster> UpAsync(LabOptions options, Action<string> say, CancellationToken cancel = default)
    {
        CheckCanBeSetUp(options);
        foreach (string unwanted in Names().Where(n => ReadState(n) is { IsWanted: false }))
        {
            say($"taking down lab '{unwanted}', which was left behind");
            Down(unwanted);
        }

        Down(options.Name);
        int self = Environment.ProcessId;
        var state = new LabState(options.Name, options.Mtu, options.WithAgents, options.Program, self, LabState.StartTime(self)) { Queues = options.Queues };
        var lab = new LabCluster(state, options.Topology);
        try
        {
            Directory.CreateDirectory(lab.Folder);
            state.Write(lab.StateFile); // before the first namespace: from here on those names are the lab's
            await lab.BuildAsync(options.Settings, say, cancel);
            if (!options.EndsWithThisProcess)
            {
                // Until here this process owned it, so that a kill in the middle leaves nothing.
                (state with { OwnerProcess = 0, OwnerStarted = "" }).Write(lab.StateFile);
            }

            return lab;
        }
        catch
        {
            Down(options.Name);
            throw;
        }
    }

    /// <summary>A lab that is up already.</summary>
    /// <exception cref="LabException">There is none of that name.</exception>
    public static LabCluster Open(string name) =>
        ReadState(name) is { } state
            ? new LabCluster(state, LabTopology.Default)
            : throw new LabException($"there is no lab '{name}'; 'clusterlb lab up{NameArgument(name)}' makes one");

    /// <summary>What a command line needs after `clusterlb lab COMMAND` to mean this lab: nothing for the default name.</summary>
    public static string NameArgument(string name) => name == LabOptions.DefaultName ? "" : $" --name {name}";

    /// <summary>The names of all labs that have a folder.</summary>
    public static IReadOnlyList<string> Names() =>
        Directory.Exists(Root) ? [.. Directory.EnumerateDirectories(Root).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)] : [];

    /// <summary>Takes a lab down: its processes, namespaces and folder. Nothing happens if there is none.</summary>
    /// <returns>False if there was nothing.</returns>
    /// <exception cref="LabException">Something of it stays although all was tried, or this user may not.</exception>
    public static bool Down(string name)
    {
        if (LabOptions.NameProblem(name) is { } problem)
        {
            throw new LabException($"lab '{name}' cannot be taken down: {problem}");
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new LabException($"lab '{name}' cannot be taken down: that needs root; run it with sudo");
        }

        long started = Stopwatch.GetTimestamp();
        for (bool found = false; ; found = true)
        {
            // Without its record a lab has no namespaces: what has such a name then is somebody else's.
            IReadOnlyList<NetworkNamespace> namespaces =
                ReadState(name) is null ? [] : ExistingNamespaces(name, LabTopology.Default);
            if (namespaces.Count == 0 && !Directory.Exists(FolderOf(name)))
            {
                return found;
            }

            if (Stopwatch.GetElapsedTime(started) > Patience)
            {
                throw new LabException(
                    $"lab '{name}' cannot be taken down: there still are {FolderOf(name)} or the namespaces " +
                    $"{string.Join(", ", namespaces.Select(n => n.Name))}");
            }

            // Another process may be doing the same (the keeper, when the owner died): what is gone already is no error.
            if (namespaces.Count > 0)
            {
                NamespaceProcesses.Kill(namespaces);
                Tool.Try("ip", ["-force", "-batch", "-"], string.Concat(namespaces.Select(n => $"netns del {n.Name}\n")));
                continue; // the record goes last
            }

            DeleteFolder(FolderOf(name), recursive: true);
            DeleteFolder(Root, recursive: false); // only if this was the last lab
        }
    }

    /// <summary>The network namespace of a node, a pod (a host-network pod's is its node's), the client or the switch.</summary>
    /// <exception cref="LabException">The lab has nothing of that name.</exception>
    public NetworkNamespace Namespace(string member)
    {
        string? own = member is LabTopology.ClientName or LabTopology.SwitchName || Topology.Nodes.Any(n => n.Name == member)
            ? member
            : Topology.Pods.FirstOrDefault(p => p.Name == member) is { } pod
                ? pod.HostNetwork ? pod.Node.Name : pod.Name
                : null;
        return own is not null
            ? new NetworkNamespace($"{Name}-{own}")
            : throw new LabException(
                $"The lab has no '{member}'. It has: " +
                string.Join(", ", Topology.Nodes.Select(n => n.Name).Concat(Topology.Pods.Select(p => p.Name)))
                + $", {LabTopology.ClientName}, {LabTopology.SwitchName}.");
    }

    /// <summary>The agent of a node.</summary>
    /// <exception cref="LabException">The lab has no such node.</exception>
    public AgentProcess Agent(string node) =>
        Agents.FirstOrDefault(a => a.Node.Name == node) ?? throw new LabException($"The lab has no node '{node}'.");

    /// <summary>Starts the agents of a lab that was set up without them; their objects come from an API server.</summary>
    /// <param name="kubeconfig">How the nodes reach it.</param>
    /// <param name="cancel">Ends the waiting.</param>
    /// <exception cref="LabException">One does not become healthy.</exception>
    public async Task StartAgentsAsync(string kubeconfig, CancellationToken cancel = default)
    {
        foreach (AgentProcess agent in Agents)
        {
            agent.WriteConfig(State.Mtu, queues: State.Queues);
            agent.StartWithKubeconfig(kubeconfig);
        }

        await Task.WhenAll(Agents.Select(a => a.WaitUntilHealthyAsync(Patience, cancel)));
    }

    /// <summary>Packets that a node sent to a service address by its default route instead of through ClusterLb.</summary>
    public long LeakedPackets()
    {
        string counters = Tool.Run("nsenter",
            [$"--net={Namespace(LabTopology.SwitchName).Path}", "nft", "list", "counter", "inet", "watch", "leaked"]);
        string[] words = counters.Split((char[])[' ', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries);
        return long.Parse(words[Array.IndexOf(words, "packets") + 1], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>How it is now.</summary>
    public async Task<LabStatus> StatusAsync(CancellationToken cancel = default)
    {
        ILookup<string, int> processes = NamespaceProcesses.All();
        var members = new List<LabMember>();
        foreach (AgentProcess agent in Agents)
        {
            LabMember member = Member(agent.Node.Name, "node", "", [$"{agent.Node.Ipv4}", $"{agent.Node.Ipv6}"], processes);
            bool asksHealth = State.WithAgents && member.State == "up";
            members.Add(asksHealth
                ? member with { State = await agent.IsHealthyAsync(cancel) ? "healthy" : "unhealthy" }
                : member);
        }

        members.AddRange(Topology.Pods.Select(p => Member(p.Name, "pod", p.Node.Name, [$"{p.Ipv4}", $"{p.Ipv6}"], processes)));
        members.Add(Member(LabTopology.ClientName, "client", "",
            [$"{LabTopology.ClientIpv4}", $"{LabTopology.ClientIpv6}"], processes));
        members.Add(Member(LabTopology.SwitchName, "switch", "",
            [$"{LabTopology.NodeGateway4}", $"{LabTopology.NodeGateway6}"], processes));
        return new LabStatus(Name, State.Mtu, Folder, members);
    }

    /// <summary>Takes it down.</summary>
    public void Dispose() => Down(Name);

    /// <summary>The namespaces of a lab's names that there are; whose they are, its record says.</summary>
    internal static IReadOnlyList<NetworkNamespace> ExistingNamespaces(string name, LabTopology topology) =>
        [.. topology.NamespaceOwners.Select(o => new NetworkNamespace($"{name}-{o}")).Where(n => n.Exists)];

    private static bool IsRunning(LabState state)
    {
        if (!state.IsWanted)
        {
            return false;
        }

        ILookup<string, int> processes = NamespaceProcesses.All();
        return state.OwnerProcess != 0
            || ExistingNamespaces(state.Name, LabTopology.Default).Any(n => processes.Contains(n.Identity()));
    }

    private static LabState? ReadState(string name) => LabState.Read(StateFileOf(name));

    private static string StateFileOf(string name) => Path.Combine(FolderOf(name), "lab.json");

    private static void DeleteFolder(string folder, bool recursive)
    {
        try
        {
            Directory.Delete(folder, recursive);
        }
        catch (IOException)
        {
            // Not there, or not empty: the caller looks again.
        }
    }

    private static string FolderOf(string name) => Path.Combine(Root, name);

    private LabMember Member(string name, string kind, string node, string[] addresses, ILookup<string, int> processes)
    {
        NetworkNamespace ns = Namespace(name);
        return ns.Exists
            ? new LabMember(name, kind, node, ns.Name, addresses, [.. processes[ns.Identity()]], "up")
            : new LabMember(name, kind, node, ns.Name, addresses, [], "missing");
    }

    private async Task BuildAsync(LabSettings settings, Action<string> say, CancellationToken cancel)
    {
        new NetworkBuilder(Topology, State.Mtu, Namespace).Build();
        say($"network: {Topology.Nodes.Count} nodes, {Topology.Pods.Count} pods, a switch and an external client; MTU {State.Mtu}");
        cancel.ThrowIfCancellationRequested();

        Manifests.WriteAll(Topology);
        BackgroundProcess.Start(
            Namespace(LabTopology.SwitchName), Path.Combine(Folder, "pods.log"), [.. Program, "lab", "echo", "--lab", Name]);
        if (State.WithAgents)
        {
            foreach (AgentProcess agent in Agents)
            {
                agent.WriteConfig(State.Mtu, settings, State.Queues);
                agent.Start();
            }
        }

        await WaitForPodsAsync(cancel);
        say($"echo servers: HTTP on {LabPod.HttpPort}, TCP and UDP on {LabPod.EchoPort}");
        if (State.WithAgents)
        {
            await Task.WhenAll(Agents.Select(a => a.WaitUntilHealthyAsync(Patience, cancel)));
            say($"agents: healthy on {string.Join(" and ", Agents.Select(a => a.Node.Name))}");
        }
    }

    private async Task WaitForPodsAsync(CancellationToken cancel)
    {
        long started = Stopwatch.GetTimestamp();
        while (!File.Exists(ReadyFile))
        {
            if (Stopwatch.GetElapsedTime(started) > Patience)
            {
                throw new LabException(
                    $"The echo servers do not start: {File.ReadAllText(Path.Combine(Folder, "pods.log")).Trim()}");
            }

            await Task.Delay(10, cancel);
        }
    }
}
