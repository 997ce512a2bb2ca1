using System.Buffers.Binary;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.Network;

/// <summary>A thread that hears one kind of the kernel's netlink events in the network namespace of whoever made it.</summary>
internal sealed class NetlinkListener : IDisposable
{
    private const int WakeUpMs = 500; // to see that it was disposed
    private const int HeaderLength = 16; // struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32

    private readonly SafeFileHandle _socket;
    private readonly Hear _hear;
    private readonly Action _lost;
    private readonly Thread _thread;
    private volatile bool _stop;

    /// <summary>What happens with one message. Called on the listener's thread.</summary>
    /// <param name="type">Of the header.</param>
    /// <param name="message">With its header.</param>
    public delegate void Hear(ushort type, ReadOnlySpan<byte> message);

    /// <summary>Starts to listen.</summary>
    /// <param name="protocol">NETLINK_ROUTE, NETLINK_NETFILTER.</param>
    /// <param name="groups">Multicast groups, bit n-1 for group n.</param>
    /// <param name="name">Of the thread.</param>
    /// <param name="hear">Called for each message.</param>
    /// <param name="lost">Called when there were more messages than room for them: anything may have happened.</param>
    /// <exception cref="NetlinkException">There is no netlink socket.</exception>
    public NetlinkListener(int protocol, uint groups, string name, Hear hear, Action lost)
    {
        _hear = hear;
        _lost = lost;
        _socket = NetlinkInterop.Open(protocol, groups, out int errno);
        if (errno != 0)
        {
            _socket.Dispose();
            throw new NetlinkException($"Cannot hear the kernel's events ({name}): netlink socket failed with {Errno.Name(errno)}.");
        }

        _thread = new Thread(Listen) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Listen()
    {
        byte[] buffer = new byte[65_536];
        while (!_stop)
        {
            if (PollInterop.WaitReadable([_socket], WakeUpMs) == 0)
            {
                continue;
            }

            int received = NetlinkInterop.Receive(_socket, buffer);
            if (received == -NetlinkInterop.LostEvents)
            {
                _lost();
            }
            else if (received > 0)
            {
                Split(buffer.AsSpan(0, received));
            }
        }
    }

    private void Split(ReadOnlySpan<byte> messages)
    {
        while (messages.Length >= HeaderLength)
        {
            int length = Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(messages), HeaderLength, messages.Length);
            _hear(BinaryPrimitives.ReadUInt16LittleEndian(messages[4..]), messages[..length]);
            messages = messages[Math.Min(messages.Length, (length + 3) & ~3)..];
        }
    }
}
