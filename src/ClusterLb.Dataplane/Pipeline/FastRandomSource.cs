using System.Security.Cryptography;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The random source of a worker: splitmix64 (Steele, Lea, Flood; OOPSLA 2014), two nanoseconds a number.</summary>
/// <remarks>Uniform, not secret: who watches which backends are chosen could predict the next, and gains nothing by it.</remarks>
public sealed class FastRandomSource(ulong seed) : RandomSource
{
    private ulong _state = seed;

    /// <summary>A source that no other run repeats.</summary>
    public static FastRandomSource Create()
    {
        Span<byte> seed = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(seed);
        return new FastRandomSource(BitConverter.ToUInt64(seed));
    }

    /// <inheritdoc/>
    public override uint Next()
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        ulong mixed = (_state ^ (_state >> 30)) * 0xBF58_476D_1CE4_E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB;
        return (uint)((mixed ^ (mixed >> 31)) >> 32);
    }
}
