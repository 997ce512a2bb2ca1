using System.Text.Json;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>A connection of agent and dataplane: whole messages, with descriptors.</summary>
/// <remarks>One thread may receive while others send.</remarks>
public sealed class ControlConnection(SafeFileHandle handle) : IDisposable
{
    /// <summary>Bytes of a message at most; well below the kernel's limit for one packet of a socket.</summary>
    public const int MaxMessageBytes = 128 * 1024;

    private readonly byte[] _room = new byte[MaxMessageBytes];

    /// <summary>The descriptor, to be waited for.</summary>
    public SafeFileHandle Handle => handle;

    /// <summary>Sends a message, without waiting for a peer that does not read.</summary>
    /// <param name="message">At most <see cref="MaxMessageBytes"/> as JSON.</param>
    /// <param name="descriptors">Duplicates of these reach the peer; the caller keeps his.</param>
    /// <exception cref="ControlSocketException">The peer is gone or does not read.</exception>
    public void Send(ControlMessage message, params ReadOnlySpan<SafeFileHandle> descriptors)
    {
        if (descriptors.Length > ControlSocketInterop.MaxDescriptors)
        {
            throw new ArgumentException($"{descriptors.Length} descriptors do not fit into one message.", nameof(descriptors));
        }

        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(message, ControlJson.Default.ControlMessage);
        int errno = -ControlSocketInterop.Send(handle, bytes, descriptors);
        if (errno != 0)
        {
            throw new ControlSocketException($"Cannot send '{message.Kind}' over the control socket: {Errno.Name(errno)}.");
        }
    }

    /// <summary>Waits for the next message.</summary>
    /// <param name="descriptors">What came with it; the caller owns them.</param>
    /// <returns>Null at the end of the connection.</returns>
    /// <exception cref="ControlSocketException">What came is not a message of ours.</exception>
    public ControlMessage? Receive(out SafeFileHandle[] descriptors)
    {
        int n = ControlSocketInterop.Receive(handle, _room, out descriptors);
        if (n <= 0)
        {
            CloseAll(descriptors);
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(_room.AsSpan(0, n), ControlJson.Default.ControlMessage);
        }
        catch (JsonException e)
        {
            CloseAll(descriptors);
            throw new ControlSocketException($"The peer of the control socket sent {n} bytes that are no message: {e.Message}", e);
        }
    }

    /// <summary>A pidfd of the peer: readable when it has ended, and good for a signal that can hit nobody else.</summary>
    /// <exception cref="ControlSocketException">The kernel is older than 6.5, or the peer is gone.</exception>
    public SafeFileHandle OpenPeerProcess()
    {
        SafeFileHandle pidFd = ControlSocketInterop.PeerProcess(handle, out int errno);
        if (errno == 0)
        {
            return pidFd;
        }

        pidFd.Dispose();
        throw new ControlSocketException(
            $"Cannot get hold of the peer of the control socket: SO_PEERPIDFD failed with {Errno.Name(errno)}; it needs Linux 6.5.");
    }

    /// <summary>Ends the connection for both sides; a thread that receives returns.</summary>
    public void Shutdown() => ControlSocketInterop.Shutdown(handle);

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();

    private static void CloseAll(SafeFileHandle[] descriptors)
    {
        foreach (SafeFileHandle descriptor in descriptors)
        {
            descriptor.Dispose();
        }
    }
}
