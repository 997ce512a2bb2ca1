namespace ClusterLb.Dataplane.Pipeline;

/// <summary>A token bucket for ICMP errors that we send (RFC 4443, section 2.4 (f); RFC 1812, section 4.3.2.8).</summary>
/// <remarks>TCP resets are not limited: each answers a segment of its own size or larger, as any closed port does.</remarks>
internal sealed class RejectLimiter
{
    private const long PerMillisecond = 1; // 1,000 per second, the kernel's net.ipv4.icmp_msgs_per_sec
    private const long Burst = 256;

    private long _tokens = Burst;
    private long _filledAtMs = long.MinValue;

    /// <summary>Takes a token, if there is one.</summary>
    public bool TryTake(long nowMs)
    {
        if (nowMs > _filledAtMs)
        {
            long elapsedMs = _filledAtMs == long.MinValue ? Burst : Math.Min(nowMs - _filledAtMs, Burst);
            _tokens = Math.Min(Burst, _tokens + (elapsedMs * PerMillisecond));
            _filledAtMs = nowMs;
        }

        if (_tokens == 0)
        {
            return false;
        }

        _tokens--;
        return true;
    }
}
