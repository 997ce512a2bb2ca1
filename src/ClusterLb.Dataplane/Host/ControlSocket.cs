using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>The named end of the control socket: bound by the agent, which may write the directory; listened on by the dataplane.</summary>
/// <remarks>
/// The kernel notes the peer when listen is called, not when bind is. So the dataplane listens, and who connects gets a
/// pidfd of the dataplane, not one of an agent that may be long dead.
/// </remarks>
public sealed class ControlSocket : IDisposable
{
    /// <summary>Takes over a bound descriptor, in the dataplane.</summary>
    public ControlSocket(SafeFileHandle handle)
    {
        Handle = handle;
        ControlSocketInterop.SetCloseOnExec(handle);
    }

    /// <summary>The descriptor, to be handed to the dataplane or waited for.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Makes the socket's file, replacing one that a dead dataplane left. Nobody can connect before <see cref="Listen"/>.</summary>
    /// <param name="path">At most 107 bytes.</param>
    /// <exception cref="ControlSocketException">The path is too long, or its directory cannot be written.</exception>
    public static ControlSocket Bind(string path)
    {
        File.Delete(path);
        SafeFileHandle handle = ControlSocketInterop.Create(out int errno);
        if (errno == 0)
        {
            errno = -ControlSocketInterop.Bind(handle, path);
        }

        if (errno != 0)
        {
            handle.Dispose();
            throw new ControlSocketException($"Cannot make the control socket '{path}': {Errno.Name(errno)}. " +
                "Its directory must be writable, and its path at most 107 bytes long.");
        }

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new ControlSocket(handle);
    }

    /// <summary>Lets others connect; from now on this process is the peer that they see.</summary>
    public void Listen()
    {
        int errno = -ControlSocketInterop.Listen(Handle);
        if (errno != 0)
        {
            throw new ControlSocketException($"Cannot listen on the control socket: {Errno.Name(errno)}.");
        }
    }

    /// <summary>Takes the next connection; waits for one.</summary>
    /// <returns>Null if whoever connected is gone again.</returns>
    public ControlConnection? Accept()
    {
        SafeFileHandle handle = ControlSocketInterop.Accept(Handle, out int errno);
        if (errno == 0)
        {
            return new ControlConnection(handle);
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Connects to whoever listens on the path.</summary>
    /// <returns>Null if there is no such socket, or nobody listens on it.</returns>
    public static ControlConnection? TryConnect(string path)
    {
        SafeFileHandle handle = ControlSocketInterop.Create(out int errno);
        if (errno == 0 && ControlSocketInterop.Connect(handle, path) == 0)
        {
            return new ControlConnection(handle);
        }

        handle.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();
}
