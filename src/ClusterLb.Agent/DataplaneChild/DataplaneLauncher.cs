using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Tun;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>Finds a running dataplane by its socket, or makes a new process and connects to it.</summary>
internal sealed class DataplaneLauncher(
    string stateDirectory, DataplaneCommand command, DataplaneOptions options, ILogger log, TimeProvider time)
{
    private const string SocketName = "dataplane.sock";

    // A dataplane gets its name when it is about to serve: until then the old one, if any, can be found.
    private const string NewSocketName = "dataplane.sock.new";

    // A successor keeps this name until the agent sees that it serves.
    private const string SuccessorSocketName = "dataplane.sock.successor";

    private const int KillTimeoutMs = 2_000;
    private const int UsualNice = 0;

    private static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ConnectInterval = TimeSpan.FromMilliseconds(2);

    private readonly DataplaneCgroup _cgroup = new(options.CgroupRoot);
    private bool _reservationSaid;
    private bool _prioritySaid;
    private string _cgroupProblem = "";

    private string SocketPath => Path.Combine(stateDirectory, SocketName);

    private string NewSocketPath => Path.Combine(stateDirectory, NewSocketName);

    private string SuccessorSocketPath => Path.Combine(stateDirectory, SuccessorSocketName);

    /// <summary>The dataplane that serves this state directory; null if none listens.</summary>
    public DataplaneLink? TryFind() => TryFind(SocketPath);

    /// <summary>The process that waits to serve, or has begun to when the other one ended; null if none listens.</summary>
    public DataplaneLink? TryFindSuccessor() => TryFind(SuccessorSocketPath);

    private DataplaneLink? TryFind(string path)
    {
        if (ControlSocket.TryConnect(path) is not { } connection)
        {
            return null;
        }

        try
        {
            return Link(connection, connection.OpenPeerProcess());
        }
        catch (ControlSocketException e)
        {
            connection.Dispose(); // it ended while we connected
            log.LogWarning("A dataplane was found, but not its process: {Reason}", e.Message);
            return null;
        }
    }

    /// <summary>Starts a process, which waits for its orders. It inherits the lease, taken or not: both share it.</summary>
    /// <exception cref="DataplaneException">It cannot be started, or ends before it listens.</exception>
    public async Task<DataplaneLink> LaunchAsync(StateLease lease, string verb, int queues, CancellationToken cancellation)
    {
        IReadOnlyList<string> arguments = command.Arguments(verb, out string? reservation);
        if (reservation is not null && !_reservationSaid)
        {
            _reservationSaid = true;
            log.LogWarning("The dataplane runs without capabilities, but as this user: as nobody {Reason}.", reservation);
        }

        SafeFileHandle process;
        using (ControlSocket socket = ControlSocket.Bind(NewSocketPath))
        {
            int errno = 0;
            int pid = 0;
            string problem = ProcessPriority.Start(NiceOf(verb), () =>
            {
                errno = ProcessInterop.Spawn(arguments, DataplaneCommand.Variables(queues), [socket.Handle, lease.Handle], out pid);
                return pid;
            });
            if (problem.Length > 0 && !_prioritySaid)
            {
                _prioritySaid = true;
                log.LogInformation("The dataplane has no priority over other processes: {Reason}.", problem);
            }

            if (errno != 0)
            {
                throw new DataplaneException($"Cannot start the dataplane: running '{arguments[0]}' failed with {Errno.Name(errno)}. " +
                    "setpriv (util-linux) must be installed.");
            }

            process = ProcessInterop.OpenPidFd(pid);
            LeaveContainer(pid);
        }

        try
        {
            return Link(await ConnectAsync(process, arguments, cancellation), process);
        }
        catch
        {
            ProcessInterop.SendSignal(process, ProcessInterop.SignalKill);
            ProcessInterop.HasEnded(process, KillTimeoutMs);
            ProcessInterop.Reap(process);
            process.Dispose();
            throw;
        }
    }

    /// <summary>Gives the process that was launched the name under which the next agent finds it.</summary>
    public void Publish() => File.Move(NewSocketPath, SocketPath, overwrite: true);

    /// <summary>The same for one that waits.</summary>
    public void PublishSuccessor() => File.Move(NewSocketPath, SuccessorSocketPath, overwrite: true);

    /// <summary>The successor serves: from now on it is found as the dataplane.</summary>
    /// <param name="pid">Its process.</param>
    public void PromoteSuccessor(int pid)
    {
        File.Move(SuccessorSocketPath, SocketPath, overwrite: true);
        ProcessPriority.Set(pid, options.Nice);
    }

    /// <summary>The successor is ready: its workers are to have their priority from the start, though no agent may live then to give it. They
    /// inherit it from the thread that starts them, the first one, which has nothing else to do.</summary>
    /// <param name="pid">Its process.</param>
    public void PrepareSuccessor(int pid) => NiceInterop.Set(pid, options.Nice);

    /// <summary>A successor starts like any process: nobody waits for it, and its start would take processors from those whose packets
    /// we carry.</summary>
    private int NiceOf(string verb) => verb == DataplaneProcess.SuccessorVerb ? Math.Max(options.Nice, UsualNice) : options.Nice;

    private void LeaveContainer(int pid)
    {
        string problem = _cgroup.Admit(pid);
        if (problem.Length > 0 && problem != _cgroupProblem)
        {
            log.LogWarning("The dataplane ends with this container, and service traffic pauses until the next one: {Reason}.", problem);
        }

        _cgroupProblem = problem;
    }

    private async Task<ControlConnection> ConnectAsync(
        SafeFileHandle process, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        long begun = Environment.TickCount64;
        while (!ProcessInterop.HasEnded(process, timeoutMs: 0))
        {
            if (ControlSocket.TryConnect(NewSocketPath) is { } connection)
            {
                return connection;
            }

            if (Environment.TickCount64 - begun > LongestStart.TotalMilliseconds)
            {
                throw new DataplaneException($"The dataplane did not listen within {LongestStart.TotalSeconds} s after its start.");
            }

            await Task.Delay(ConnectInterval, cancellation);
        }

        string end = ProcessInterop.Reap(process) ?? "an unknown status";
        throw new DataplaneException(
            $"The dataplane ended at once, with {end}. Run it by hand to see why: {string.Join(' ', arguments)}");
    }

    private DataplaneLink Link(ControlConnection connection, SafeFileHandle process) =>
        new(connection, process, (level, text) => log.Log((LogLevel)level, "{Line}", text), time);
}
