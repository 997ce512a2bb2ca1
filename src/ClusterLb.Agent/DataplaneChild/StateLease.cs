using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>A flock on a file of the state directory: who holds it is the one agent, or the one dataplane, there.</summary>
/// <remarks>
/// The lease belongs to the open file, so a process that inherits the descriptor holds it too, and it falls when the last
/// holder ends, however it ends. It lies on files of its own, never on a map: the runtime's file opening would collide with it.
/// </remarks>
public sealed class StateLease : IDisposable
{
    /// <summary>Held by the agent.</summary>
    public const string AgentFileName = "agent.lock";

    /// <summary>Held by the dataplane.</summary>
    public const string DataplaneFileName = "dataplane.lock";

    private StateLease(string path, SafeFileHandle handle)
    {
        FilePath = path;
        Handle = handle;
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    internal SafeFileHandle Handle { get; }

    /// <summary>Opens the file of a lease, without taking it.</summary>
    /// <exception cref="IOException">The directory is missing or cannot be written.</exception>
    public static StateLease Open(string stateDirectory, string fileName)
    {
        string path = Path.Combine(stateDirectory, fileName);
        SafeFileHandle handle = ProcessInterop.OpenLockFile(path, out int errno);
        return errno == 0
            ? new StateLease(path, handle)
            : throw new IOException($"Cannot open '{path}': {Errno.Name(errno)}. The state directory must exist and be writable.");
    }

    /// <summary>Takes the agent's lease.</summary>
    /// <exception cref="IOException">Another agent uses the state directory.</exception>
    public static StateLease TakeForAgent(string stateDirectory)
    {
        bool isCurrent;
        do
        {
            StateLease lease = Open(stateDirectory, AgentFileName);
            if (lease.TryTake())
            {
                return lease;
            }

            isCurrent = lease.IsCurrent;
            lease.Dispose();
        }
        while (!isCurrent); // a cleanup has removed the file since it was opened

        throw new IOException(
            $"The state directory '{stateDirectory}' is in use by another agent. Stop that one, or choose another directory (--state-dir).");
    }

    /// <summary>True if somebody holds a lease now.</summary>
    public static bool IsTaken(string stateDirectory, string fileName)
    {
        try
        {
            using StateLease lease = Open(stateDirectory, fileName);
            return !lease.TryTake();
        }
        catch (IOException)
        {
            return false; // no state directory yet
        }
    }

    /// <summary>False if the file was removed or replaced since it was opened: it is nobody's lease any more.</summary>
    public bool IsCurrent => ProcessInterop.IsFileAt(Handle, FilePath);

    /// <summary>Takes the lease if nobody has it.</summary>
    /// <remarks>The file is compared after the lock is held: whoever removes it holds the lock.</remarks>
    public bool TryTake() => ProcessInterop.TryLock(Handle) == 0 && IsCurrent;

    /// <summary>Lets go of this holder's copy.</summary>
    public void Dispose() => Handle.Dispose();
}
