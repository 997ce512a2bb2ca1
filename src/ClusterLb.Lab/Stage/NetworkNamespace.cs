using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Lab.Stage;

/// <summary>A network namespace by its name under /run/netns, and a way to act inside it without starting a program.</summary>
/// <remarks>
/// A socket belongs to the namespace of the thread that made it and stays there, whoever uses it later. So the lab opens
/// sockets of any node or pod in its own process: a thread enters the namespace, opens the socket, and ends.
/// </remarks>
public sealed class NetworkNamespace(string name)
{
    /// <summary>Where iproute2 keeps the names of namespaces.</summary>
    public const string Folder = "/run/netns";

    /// <summary>The name that <c>ip netns</c> shows.</summary>
    public string Name { get; } = name;

    /// <summary>The file that <c>nsenter --net=</c> takes.</summary>
    public string Path => System.IO.Path.Combine(Folder, Name);

    /// <summary>True while the name exists.</summary>
    public bool Exists => File.Exists(Path);

    /// <summary>Runs <paramref name="work"/> on a thread of its own inside the namespace.</summary>
    /// <remarks>Not for asynchronous work: what continues on another thread continues outside.</remarks>
    /// <exception cref="LabException">The namespace does not exist, or this process may not enter it.</exception>
    public T Run<T>(Func<T> work)
    {
        T result = default!;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter();
                result = work();
            }
            catch (Exception e)
            {
                failure = e; // rethrown on the caller's thread, below
            }
        })
        { IsBackground = true, Name = $"in {Name}" };
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }

        return result;
    }

    /// <summary>Opens a socket that sends and listens in this namespace.</summary>
    public Socket OpenSocket(AddressFamily family, SocketType type, ProtocolType protocol) =>
        Run(() => new Socket(family, type, protocol));

    /// <summary>Reads a file below /proc/thread-self/net or /proc/sys/net as the namespace sees it.</summary>
    public string ReadText(string path) => Run(() => File.ReadAllText(path));

    /// <summary>Writes a kernel setting of this namespace, <c>net.ipv4.ip_forward</c> for example.</summary>
    public void SetSysctl(string key, string value) => Run(() =>
    {
        // The keys used here have no dots inside a part, which an interface name could have.
        File.WriteAllText("/proc/sys/" + key.Replace('.', '/'), value);
        return true;
    });

    /// <summary>The kernel's identity of this namespace, in the form of the links /proc/PID/ns/net.</summary>
    internal string Identity() => Run(() => new FileInfo("/proc/thread-self/ns/net").LinkTarget!);

    private void Enter()
    {
        SafeFileHandle file;
        try
        {
            file = File.OpenHandle(Path);
        }
        catch (IOException e)
        {
            throw new LabException($"There is no network namespace '{Name}'. Is the lab up? ('clusterlb lab status')", e);
        }

        using (file)
        {
            int result = LabInterop.EnterNetworkNamespace(file);
            if (result < 0)
            {
                throw new LabException(
                    $"Cannot enter network namespace '{Name}': setns failed with errno {-result}. The lab needs root (CAP_SYS_ADMIN).");
            }
        }
    }
}
