using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>The process without rights: takes descriptors, runs workers, stops at a batch boundary, hands on (docs/processes.md).</summary>
/// <remarks>
/// It has a bound control socket and the lease of the flow tables, both inherited; all else comes over the socket. The main
/// thread answers the agent and never touches a packet; an agent that is stuck or dead holds nothing up.
/// </remarks>
public sealed class DataplaneProcess : IDisposable
{
    /// <summary>The word on the command line of a dataplane that serves, or is about to.</summary>
    public const string Verb = "dataplane";

    /// <summary>The word while it waits for another one to end; of the same length, for it is overwritten.</summary>
    public const string SuccessorVerb = "successor";

    /// <summary>The option that follows either word.</summary>
    public const string ControlOption = "--control-fd";

    /// <summary>Exit status: asked to stop.</summary>
    public const int Stopped = 0;

    /// <summary>Exit status: a worker could not go on, or what the agent handed over cannot be served.</summary>
    public const int Failed = 1;

    // Nobody came to start us: the agent was killed in between. Without work a dataplane must not stay.
    private const int UnstartedLifeMs = 10_000;

    // Log lines for which no agent is connected wait for the next one.
    private const int MostBacklog = 64;

    private readonly ControlSocket _socket;
    private readonly SafeFileHandle _lease; // held, never looked at: it falls with this process
    private readonly SafeFileHandle _wake = TunInterop.CreateEvent();
    private readonly Lock _sending = new();
    private readonly Queue<ControlMessage> _backlog = new();
    private ControlConnection? _agent;
    private DataplaneWorkers? _workers;
    private Inheritance? _inheritance; // of a successor that waits
    private volatile int _exitStatus = -1;

    private DataplaneProcess(ControlSocket socket, SafeFileHandle lease)
    {
        _socket = socket;
        _lease = lease;
    }

    /// <summary>Identifies the build of the code that handles packets.</summary>
    public static Guid Build { get; } = typeof(DataplaneProcess).Module.ModuleVersionId;

    /// <summary>The verb <c>dataplane</c>.</summary>
    /// <param name="controlFd">A bound control socket.</param>
    /// <param name="leaseFd">The lease on the flow tables.</param>
    /// <returns>The exit status.</returns>
    public static int Run(int controlFd, int leaseFd)
    {
        var lease = new SafeFileHandle(leaseFd, ownsHandle: true);
        ControlSocketInterop.SetCloseOnExec(lease);
        using var process = new DataplaneProcess(new ControlSocket(new SafeFileHandle(controlFd, ownsHandle: true)), lease);
        using PosixSignalRegistration onTerm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true; // the runtime's own way out would lose the batch in hand
            process.End(Stopped);
        });
        return process.Serve();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _agent?.Dispose();
        _socket.Dispose();
        _wake.Dispose();
        _lease.Dispose();
    }

    private int Serve()
    {
        _socket.Listen();
        while (_exitStatus < 0)
        {
            int ready = PollInterop.WaitReadable(
                [_wake, _socket.Handle, _agent?.Handle, _inheritance?.Fell], HasTask ? Timeout.Infinite : UnstartedLifeMs);
            if (!HasTask && ready == 0)
            {
                End(Failed);
            }

            if ((ready & 8) != 0)
            {
                TakeOver();
            }
            else if ((ready & 2) != 0)
            {
                Accept();
            }
            else if ((ready & 4) != 0)
            {
                Receive(_agent!);
            }
        }

        _workers?.Stop();
        _workers?.Dispose();
        return _exitStatus;
    }

    /// <summary>The newest agent counts: it holds agent.lock, so any older one is dead.</summary>
    private void Accept()
    {
        if (_socket.Accept() is not { } connection)
        {
            return;
        }

        lock (_sending)
        {
            _agent?.Dispose();
            _agent = connection;
            while (_backlog.TryDequeue(out ControlMessage? line) && TrySend(connection, line))
            {
            }
        }
    }

    private void Receive(ControlConnection agent)
    {
        SafeFileHandle[] descriptors = [];
        try
        {
            if (agent.Receive(out descriptors) is { } request)
            {
                Answer(request, descriptors);
                return;
            }
        }
        catch (ControlSocketException e)
        {
            Say(LogLevels.Warning, e.Message);
        }

        Leave(agent);
    }

    private void Leave(ControlConnection agent)
    {
        lock (_sending)
        {
            agent.Dispose();
            _agent = null;
        }

        if (!HasTask)
        {
            End(Failed); // the agent died between making and starting us
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "The agent is told, and decides.")]
    private void Answer(ControlMessage request, SafeFileHandle[] descriptors)
    {
        try
        {
            switch (request.Kind)
            {
                case ControlKind.Status:
                    Reply(request, status: Describe());
                    break;
                case ControlKind.Start:
                    Start(request.Descriptors ?? [], descriptors);
                    Reply(request);
                    break;
                case ControlKind.Succeed:
                    Succeed(request, descriptors);
                    Reply(request);
                    break;
                case ControlKind.Queues:
                    Reply(request, descriptors: Workers.Queues);
                    break;
                case ControlKind.Files:
                    Reply(request, descriptors: Workers.Files);
                    break;
                case ControlKind.Flush:
                    Reply(request, flushed: Workers.Flush((request.Flush ?? new FlushRequest()).ToFilter()));
                    break;
                case ControlKind.Stop:
                    _workers?.Stop();
                    Reply(request);
                    End(Stopped);
                    break;
                default:
                    throw new ControlSocketException($"'{request.Kind}' is not a request.");
            }
        }
        catch (Exception e)
        {
            Say(LogLevels.Error, $"The request '{request.Kind}' failed: {e}");
            Reply(request, error: e.Message);
        }
    }

    private DataplaneWorkers Workers => _workers ?? throw new ControlSocketException("This dataplane was not started yet.");

    private bool HasTask => _workers is not null || _inheritance is not null;

    private void Start(IReadOnlyList<string> names, SafeFileHandle[] descriptors)
    {
        if (_workers is not null)
        {
            throw new ControlSocketException("This dataplane serves already.");
        }

        long begun = Stopwatch.GetTimestamp();
        _workers = DataplaneWorkers.Start(names, descriptors, OnWorkerFailed, TimeProvider.System);
        Say(LogLevels.Information, string.Create(CultureInfo.InvariantCulture,
            $"Dataplane {Environment.ProcessId} serves {_workers.Count} queues, generation {_workers.Generation}: {_workers.Adopted}; in {Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0.0} ms."));
    }

    private void Succeed(ControlMessage request, SafeFileHandle[] descriptors)
    {
        if (HasTask)
        {
            throw new ControlSocketException("This dataplane has its task already.");
        }

        // In line for the lease first: a dataplane that ends while this one rehearses is followed at once.
        _inheritance = new Inheritance(_lease, request.Descriptors ?? [], descriptors, request.Estate ?? "");
        var rehearsal = new Thread(() =>
        {
            NiceInterop.SetOwn(0); // the priority of whoever handles packets is not for this
            Rehearse(until: _inheritance.Fell);
        })
        { Name = "rehearsal" };
        rehearsal.Start();
        rehearsal.Join();
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Without it all works, a little later.")]
    private void Rehearse(SafeFileHandle until)
    {
        try
        {
            DataplaneRehearsal.Run(until: until);
        }
        catch (Exception e)
        {
            Say(LogLevels.Warning, $"Process {Environment.ProcessId} will need longer to take over, for it could not rehearse it: {e.Message}");
        }
    }

    /// <summary>The dataplane before us is dead, however it died, and its packets wait in the queues. The agent need not live.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Who cannot serve must end, so that the agent starts another.")]
    private void TakeOver()
    {
        using Inheritance inheritance = _inheritance!;
        _inheritance = null;
        try
        {
            Start(inheritance.Names, inheritance.Descriptors);
        }
        catch (Exception e)
        {
            OnWorkerFailed(e.ToString());
            return;
        }

        CommandLine.ReplaceVerb(SuccessorVerb, Verb);
    }

    private DataplaneStatus Describe() => new()
    {
        Protocol = ControlMessage.CurrentProtocol,
        Build = Build,
        Version = typeof(DataplaneProcess).Assembly.GetName().Version?.ToString(3),
        Pid = Environment.ProcessId,
        Serving = _workers is not null,
        IsSuccessor = _inheritance is not null,
        Estate = _inheritance?.Estate,
        Generation = _workers?.Generation ?? 0,
        PacketsRecovered = _workers?.Adopted.Packets ?? 0,
        Workers = _workers?.Count ?? 0,
        ServingForMs = (long)(_workers?.ServingFor.TotalMilliseconds ?? 0),
        FlowCapacity = _workers?.FlowCapacity ?? 0,
        MapsRetired = _workers?.MapsRetired ?? false,
        ManagedBytes = GC.GetTotalMemory(forceFullCollection: false),
        Collections = GC.CollectionCount(0),
    };

    private void OnWorkerFailed(string why)
    {
        Say(LogLevels.Critical, $"A worker of dataplane {Environment.ProcessId} cannot go on: {why}");
        End(Failed);
    }

    private void End(int exitStatus)
    {
        _exitStatus = exitStatus;
        TunInterop.Signal(_wake);
    }

    private void Reply(
        ControlMessage request,
        DataplaneStatus? status = null,
        long? flushed = null,
        IReadOnlyList<(string Name, SafeFileHandle Handle)>? descriptors = null,
        string? error = null)
    {
        var reply = new ControlMessage
        {
            Kind = ControlKind.Reply,
            Id = request.Id,
            Status = status,
            Flushed = flushed,
            Error = error,
            Descriptors = descriptors?.Select(descriptor => descriptor.Name).ToList(),
        };
        lock (_sending)
        {
            if (_agent is not null)
            {
                TrySend(_agent, reply, [.. (descriptors ?? []).Select(descriptor => descriptor.Handle)]);
            }
        }
    }

    private void Say(int level, string text)
    {
        var line = new ControlMessage { Kind = ControlKind.Log, LogLevel = level, LogText = text };
        lock (_sending)
        {
            if (_agent is not null && TrySend(_agent, line))
            {
                return;
            }

            if (_backlog.Count == MostBacklog)
            {
                _backlog.Dequeue();
            }

            _backlog.Enqueue(line);
        }
    }

    private static bool TrySend(ControlConnection agent, ControlMessage message, params SafeFileHandle[] descriptors)
    {
        try
        {
            agent.Send(message, descriptors);
            return true;
        }
        catch (ControlSocketException)
        {
            return false; // gone, or not reading: the poll will tell, and nobody waits for an agent here
        }
    }
}
