using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Wraps a device and writes every packet that passes, received and sent, to a capture that tcpdump and Wireshark read.</summary>
/// <remarks>For tests and debugging, not for production: the stream is written under a lock, on the worker's thread.</remarks>
public sealed class PcapTunDevice : ITunDevice
{
    private const uint MagicNanoseconds = 0xa1b23c4d; // times are seconds and nanoseconds
    private const uint LinkTypeRaw = 101; // the packet begins with its IP header
    private const int FileHeaderLength = 24;
    private const int RecordHeaderLength = 16;

    private readonly ITunDevice _inner;
    private readonly Stream _capture;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();

    /// <summary>Takes both over, and closes them with itself.</summary>
    /// <param name="inner">The device that carries the packets.</param>
    /// <param name="capture">Gets the file header at once.</param>
    /// <param name="time">The clock of the records.</param>
    public PcapTunDevice(ITunDevice inner, Stream capture, TimeProvider time)
    {
        _inner = inner;
        _capture = capture;
        _time = time;

        Span<byte> header = stackalloc byte[FileHeaderLength];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, MagicNanoseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2); // version 2.4
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], PacketBatch.MaxPacketLength);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], LinkTypeRaw);
        _capture.Write(header);
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
        long ticks = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks;
        Span<byte> header = stackalloc byte[RecordHeaderLength];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(ticks / TimeSpan.TicksPerSecond));
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)(ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick));
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], packet.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], packet.Length);
        lock (_lock)
        {
            _capture.Write(header);
            _capture.Write(packet);
        }
    }
}
