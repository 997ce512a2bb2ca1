using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Tun;

/// <summary>A bounded queue of byte strings in one ring of memory: full means that the newest is refused, as with a real queue.</summary>
/// <remarks>Any thread may put and take; allocates nothing after construction.</remarks>
internal sealed class FrameQueue(int capacityBytes)
{
    private const int LengthBytes = 4;

    private readonly byte[] _ring = new byte[capacityBytes];
    private readonly Lock _lock = new();
    private int _head; // where the next one is taken
    private int _used;

    public bool IsEmpty
    {
        get
        {
            lock (_lock)
            {
                return _used == 0;
            }
        }
    }

    public bool TryPut(ReadOnlySpan<byte> frame)
    {
        lock (_lock)
        {
            if (_used + LengthBytes + frame.Length > _ring.Length)
            {
                return false;
            }

            Span<byte> length = stackalloc byte[LengthBytes];
            BinaryPrimitives.WriteInt32LittleEndian(length, frame.Length);
            Append(length);
            Append(frame);
            return true;
        }
    }

    /// <summary>Copies the oldest frame out.</summary>
    /// <returns>Bytes of the frame, or 0 if there is none. What does not fit into <paramref name="room"/> is cut off.</returns>
    public int Take(Span<byte> room)
    {
        lock (_lock)
        {
            if (_used == 0)
            {
                return 0;
            }

            Span<byte> length = stackalloc byte[LengthBytes];
            Consume(length, LengthBytes);
            int frameLength = BinaryPrimitives.ReadInt32LittleEndian(length);
            Consume(room, frameLength);
            return Math.Min(frameLength, room.Length);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        int tail = (int)(((long)_head + _used) % _ring.Length);
        int first = Math.Min(bytes.Length, _ring.Length - tail);
        bytes[..first].CopyTo(_ring.AsSpan(tail));
        bytes[first..].CopyTo(_ring);
        _used += bytes.Length;
    }

    private void Consume(Span<byte> room, int count)
    {
        int wanted = Math.Min(count, room.Length);
        int first = Math.Min(wanted, _ring.Length - _head);
        _ring.AsSpan(_head, first).CopyTo(room);
        _ring.AsSpan(0, wanted - first).CopyTo(room[first..]);
        _head = (int)(((long)_head + count) % _ring.Length);
        _used -= count;
    }
}
