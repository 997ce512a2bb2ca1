using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>A TUN device behind descriptors that somebody with more rights opened and handed in.</summary>
/// <remarks>
/// The descriptors are non-blocking, and so for everybody who holds a duplicate. Dropping a duplicate leaves the packets
/// that wait in the queue to the other holders; that is how a dataplane hands over to the next without a loss.
/// </remarks>
public sealed class LinuxTunDevice : ITunDevice
{
    private readonly SafeFileHandle[] _queues;
    private readonly SafeFileHandle _wake = TunInterop.CreateEvent();

    /// <summary>Takes the queues over, and closes them with itself.</summary>
    public LinuxTunDevice(IEnumerable<SafeFileHandle> queues)
    {
        _queues = [.. queues];
        ArgumentOutOfRangeException.ThrowIfZero(_queues.Length, nameof(queues));
    }

    /// <inheritdoc/>
    public int Queues => _queues.Length;

    /// <inheritdoc/>
    public int Receive(int queue, PacketBatch batch)
    {
        batch.Clear();
        SafeFileHandle handle = _queues[queue];
        while (batch.Count < PacketBatch.Capacity)
        {
            int n = TunInterop.Read(handle, batch.NextFrame);
            if (n > VnetHeader.Length)
            {
                batch.Add(n, queue);
            }
            else if (n < 0)
            {
                ThrowIfGone(-n, queue);
                break;
            }
        }

        return batch.Count;
    }

    /// <inheritdoc/>
    public bool Wait(int queue, int timeoutMs) => PollInterop.WaitReadable([_queues[queue], _wake], timeoutMs) == 1;

    /// <inheritdoc/>
    public void Send(PacketBatch batch)
    {
        batch.SendFailures = 0;
        for (int i = 0; i < batch.Count; i++)
        {
            if (batch.Verdict(i) == Verdict.Drop)
            {
                continue;
            }

            batch.Seal(i);
            int queue = batch.Meta(i).Queue % _queues.Length;

            // Not repeated: EIO is a device that is down, EINVAL a packet that the kernel finds wrong; senders repeat what matters.
            if (TunInterop.Write(_queues[queue], batch.Frame(i)) < 0)
            {
                batch.SendFailures++;
            }

            batch.Sent(i);
        }
    }

    /// <inheritdoc/>
    public void Wake() => TunInterop.Signal(_wake);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafeFileHandle queue in _queues)
        {
            queue.Dispose();
        }

        _wake.Dispose();
    }

    private static void ThrowIfGone(int errno, int queue)
    {
        if (errno is Errno.EAGAIN or Errno.EINTR or Errno.EIO)
        {
            return;
        }

        throw new TunException(string.Create(
            CultureInfo.InvariantCulture,
            $"Cannot read queue {queue} of the TUN device: {Errno.Name(errno)}. Somebody deleted the interface; it has to be made again."));
    }
}
