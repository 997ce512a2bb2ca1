namespace ClusterLb.Dataplane.Tun;

/// <summary>Wraps a device and writes every packet that passes, received and sent, to a capture that tcpdump and Wireshark read.</summary>
/// <remarks>For tests and debugging, not for production: the stream is written under a lock, on the worker's thread.</remarks>
public sealed class PcapTunDevice : ITunDevice
{
    private readonly ITunDevice _inner;
    private readonly PcapWriter _capture;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();

    /// <summary>Takes both over, and closes them with itself.</summary>
    /// <param name="inner">The device that carries the packets.</param>
    /// <param name="capture">Gets the file header at once.</param>
    /// <param name="time">The clock of the records.</param>
    public PcapTunDevice(ITunDevice inner, Stream capture, TimeProvider time)
    {
        _inner = inner;
        _capture = new PcapWriter(capture);
        _time = time;
    }

    /// <inheritdoc/>
    public int Queues => _inner.Queues;

    /// <inheritdoc/>
    public int Receive(int queue, PacketBatch batch)
    {
        int count = _inner.Receive(queue, batch);
        for (int i = 0; i < count; i++)
        {
            Record(batch.Frame(i)[VnetHeader.Length..]);
        }

        return count;
    }

    /// <inheritdoc/>
    public bool Wait(int queue, int timeoutMs) => _inner.Wait(queue, timeoutMs);

    /// <inheritdoc/>
    public void Send(PacketBatch batch)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            if (batch.Verdict(i) != Verdict.Drop)
            {
                Record(batch.Frame(i)[VnetHeader.Length..]);
            }
        }

        _inner.Send(batch);
    }

    /// <inheritdoc/>
    public void Wake() => _inner.Wake();

    /// <inheritdoc/>
    public void Dispose()
    {
        _inner.Dispose();
        lock (_lock)
        {
            _capture.Dispose();
        }
    }

    private void Record(ReadOnlySpan<byte> packet)
    {
        long timeNs = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
        lock (_lock)
        {
            _capture.Write(packet, timeNs);
        }
    }
}
