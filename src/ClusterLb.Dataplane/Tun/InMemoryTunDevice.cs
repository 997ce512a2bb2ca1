namespace ClusterLb.Dataplane.Tun;

/// <summary>A device without a kernel: what is injected is received, what is sent can be taken. For tests, replay and benchmarks.</summary>
/// <remarks>All members are thread-safe; nothing allocates after construction.</remarks>
public sealed class InMemoryTunDevice : ITunDevice
{
    private readonly FrameQueue[] _toReceive;
    private readonly FrameQueue[] _sent;
    private readonly SemaphoreSlim[] _arrivals;
    private volatile bool _woken;

    /// <summary>Queues of the given size in each direction.</summary>
    /// <param name="queues">At least 1.</param>
    /// <param name="queueBytes">Bytes that wait at most in one queue; more is refused.</param>
    public InMemoryTunDevice(int queues = 1, int queueBytes = 1 << 20)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(queues, 1);
        _toReceive = [.. Enumerable.Range(0, queues).Select(_ => new FrameQueue(queueBytes))];
        _sent = [.. Enumerable.Range(0, queues).Select(_ => new FrameQueue(queueBytes))];
        _arrivals = [.. Enumerable.Range(0, queues).Select(_ => new SemaphoreSlim(0))];
    }

    /// <inheritdoc/>
    public int Queues => _toReceive.Length;

    /// <summary>Lets a frame (vnet header and packet) arrive; false if the queue is full.</summary>
    public bool TryInject(int queue, ReadOnlySpan<byte> frame)
    {
        if (!_toReceive[queue].TryPut(frame))
        {
            return false;
        }

        if (_arrivals[queue].CurrentCount == 0)
        {
            _arrivals[queue].Release();
        }

        return true;
    }

    /// <summary>Takes the next frame that was sent to the queue.</summary>
    /// <returns>Its bytes, vnet header included, or 0 if there is none.</returns>
    public int TakeSent(int queue, Span<byte> room) => _sent[queue].Take(room);

    /// <inheritdoc/>
    public int Receive(int queue, PacketBatch batch)
    {
        batch.Clear();
        while (batch.Count < PacketBatch.Capacity)
        {
            int length = _toReceive[queue].Take(batch.NextFrame);
            if (length == 0)
            {
                break;
            }

            if (length > VnetHeader.Length)
            {
                batch.Add(length, queue);
            }
        }

        return batch.Count;
    }

    /// <inheritdoc/>
    public bool Wait(int queue, int timeoutMs)
    {
        if (!_woken && _toReceive[queue].IsEmpty)
        {
            _arrivals[queue].Wait(timeoutMs);
        }

        return !_woken && !_toReceive[queue].IsEmpty;
    }

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
            if (!_sent[batch.Meta(i).Queue % Queues].TryPut(batch.Frame(i)))
            {
                batch.SendFailures++;
            }

            batch.Sent(i);
        }
    }

    /// <inheritdoc/>
    public void Wake()
    {
        _woken = true;
        foreach (SemaphoreSlim arrival in _arrivals)
        {
            arrival.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SemaphoreSlim arrival in _arrivals)
        {
            arrival.Dispose();
        }
    }
}
