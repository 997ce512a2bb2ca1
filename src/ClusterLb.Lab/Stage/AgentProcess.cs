using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Agent;

namespace ClusterLb.Lab.Stage;

/// <summary>The agent of one node of the lab, and its dataplane.</summary>
public sealed class AgentProcess
{
    private const int HealthPort = 10256; // kube-proxy's
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);

    internal AgentProcess(LabNode node, NetworkNamespace ns, IReadOnlyList<string> program, string folder, string manifests)
    {
        Node = node;
        Namespace = ns;
        Folder = folder;
        Program = program;
        Source = ["--manifests", manifests];
    }

    /// <summary>The node it serves.</summary>
    public LabNode Node { get; }

    /// <summary>The node's network namespace.</summary>
    public NetworkNamespace Namespace { get; }

    /// <summary>What it is started with: a program and its first arguments.</summary>
    public IReadOnlyList<string> Program { get; private set; }

    /// <summary>Where its configuration, log and state directory are.</summary>
    public string Folder { get; }

    /// <summary>What `--state-dir` takes.</summary>
    public string StateDirectory => Path.Combine(Folder, "state");

    /// <summary>What `--config` takes.</summary>
    public string ConfigFile => Path.Combine(Folder, "config.yaml");

    /// <summary>Where its objects come from, as arguments of `clusterlb agent`: the lab's folder of manifests, or a kubeconfig.</summary>
    public IReadOnlyList<string> Source { get; private set; }

    /// <summary>What the agent and, through it, the dataplane say.</summary>
    public string LogFile => Path.Combine(Folder, "agent.log");

    /// <summary>The agent's process id, or 0 if none runs.</summary>
    public int ProcessId => Find("agent");

    /// <summary>The dataplane's process id, or 0 if none runs.</summary>
    public int DataplaneProcessId => Find("dataplane");

    /// <summary>The process that waits for the dataplane to end, or 0 if none does yet.</summary>
    public int SuccessorProcessId => File.Exists(Path.Combine(StateDirectory, "dataplane.sock.successor")) ? Find("successor") : 0;

    /// <summary>Starts an agent in the node's namespace; its standard streams are the log and /dev/null.</summary>
    public void Start()
    {
        string[] command = [.. AgentEnvironment.Start(Program), "agent", "--config", ConfigFile, "--state-dir", StateDirectory, .. Source];
        BackgroundProcess.Start(Namespace, LogFile, command);
    }

    /// <summary>Starts an agent that follows an API server instead of the manifests, now and whenever it is started again.</summary>
    public void StartWithKubeconfig(string file)
    {
        Source = ["--kubeconfig", file];
        Start();
    }

    /// <summary>Starts an agent of another program, now and whenever it is started again: an upgrade, or the way back.</summary>
    public void StartProgram(IReadOnlyList<string> program)
    {
        Program = program;
        Start();
    }

    /// <summary>Kills the agent and nothing else, as the kernel's out-of-memory killer would.</summary>
    public void Kill() => Signal(ProcessId, LabInterop.SigKill);

    /// <summary>Asks the agent to end.</summary>
    public void Terminate() => Signal(ProcessId, LabInterop.SigTerm);

    /// <summary>Kills the dataplane and nothing else.</summary>
    public void KillDataplane() => Signal(DataplaneProcessId, LabInterop.SigKill);

    /// <summary>Kills dataplane and successor; nothing is no error.</summary>
    public void KillDataplaneAndSuccessor()
    {
        foreach (int process in (int[])[Find("successor"), Find("dataplane")])
        {
            if (process != 0)
            {
                _ = LabInterop.Signal(process, LabInterop.SigKill); // ESRCH: it has just ended
            }
        }
    }

    /// <summary>True if /healthz answers 200: the first sync is complete and the dataplane's heart beats.</summary>
    public async Task<bool> IsHealthyAsync(CancellationToken cancel = default)
    {
        try
        {
            using var handler = new SocketsHttpHandler { ConnectCallback = ConnectAsync };
            using var http = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(2) };
            using HttpResponseMessage answer = await http.GetAsync(new Uri($"http://127.0.0.1:{HealthPort}/healthz"), cancel);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            cancel.ThrowIfCancellationRequested();
            return false;
        }
    }

    /// <summary>Waits until <see cref="IsHealthyAsync"/>.</summary>
    /// <exception cref="LabException">It ended, or the time is over; the message has the end of its log.</exception>
    public async Task WaitUntilHealthyAsync(TimeSpan patience, CancellationToken cancel = default)
    {
        long started = Stopwatch.GetTimestamp();
        while (!await IsHealthyAsync(cancel))
        {
            TimeSpan waited = Stopwatch.GetElapsedTime(started);
            bool ended = waited > TimeSpan.FromSeconds(1) && ProcessId == 0;
            if (ended || waited > patience)
            {
                throw new LabException(
                    $"The agent of {Node.Name} {(ended ? "ended" : $"is not healthy after {patience.TotalSeconds:0.#} s")}. " +
                    $"The end of {LogFile}:\n{LogTail(30)}");
            }

            await Task.Delay(Poll, cancel);
        }
    }

    /// <summary>The last lines of its log.</summary>
    public string LogTail(int lines) =>
        File.Exists(LogFile) ? string.Join('\n', File.ReadAllLines(LogFile).TakeLast(lines)) : "(no log)";

    /// <summary>Writes the configuration file of this agent.</summary>
    /// <param name="mtu">Of the TUN device.</param>
    /// <param name="settings">Further lines.</param>
    /// <param name="queues">Of the TUN device.</param>
    internal void WriteConfig(int mtu, LabSettings? settings = null, int queues = 2)
    {
        settings ??= new LabSettings();
        Directory.CreateDirectory(Folder);
        File.WriteAllText(ConfigFile,
            $$"""
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            hostnameOverride: {{Node.Name}}
            clusterCIDR: "{{LabTopology.PodCidr4}},{{LabTopology.PodCidr6}}"
            {{settings.KubeProxy}}
            ---
            apiVersion: clusterlb.io/v1alpha1
            kind: ClusterLbConfiguration
            serviceCIDRs: ["{{LabTopology.ServiceCidr4}}", "{{LabTopology.ServiceCidr6}}"]
            tun:
              mtu: {{mtu}}
              queues: {{queues}}
            dataplane: {answerPing: true}
            loadBalancer: { {{settings.LoadBalancer}} }
            # Two nodes and some tests share this machine's memory.
            maps: {services: 4096, backends: 4096, frontends: 4096, serving: 4096, eligible: 1024, servicePorts: 1024, networks: 256}
            conntrack: {ipv4: {{settings.Flows}}, ipv6: {{settings.Flows}}{{(settings.Conntrack.Length > 0 ? ", " + settings.Conntrack : "")}}}

            """);
    }

    private int Find(string verb)
    {
        if (!Namespace.Exists)
        {
            return 0;
        }

        // Among the processes of this node only; the verb tells the agent from the dataplane it started.
        return NamespaceProcesses.All()[Namespace.Identity()].FirstOrDefault(pid => HasArgument(pid, verb));
    }

    private static bool HasArgument(int pid, string argument)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/cmdline").Split('\0').Contains(argument);
        }
        catch (IOException)
        {
            return false; // it has just ended
        }
    }

    private void Signal(int process, int signal)
    {
        if (process == 0 || LabInterop.Signal(process, signal) < 0)
        {
            throw new LabException($"There is no such process on {Node.Name} to send a signal to. The end of its log:\n{LogTail(10)}");
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        Socket socket = Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
