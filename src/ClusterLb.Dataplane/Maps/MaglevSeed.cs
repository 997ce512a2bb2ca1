using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Twelve bytes that all nodes of a cluster share, so that all of them build the same tables and hash flows alike (features F-31).</summary>
/// <param name="Low">The first eight bytes, little endian.</param>
/// <param name="High">The last four.</param>
public readonly record struct MaglevSeed(ulong Low, ulong High)
{
    /// <summary>Bytes of a seed.</summary>
    public const int Length = 12;

    /// <summary>Cilium's default, so that a cluster which changes over need not say anything.</summary>
    public static MaglevSeed Default { get; } = TryParse("JLfvgnHc2kaSUFaI", out MaglevSeed seed) ? seed : throw new InvalidOperationException();

    /// <summary>Reads base64 of twelve bytes.</summary>
    public static bool TryParse(string text, out MaglevSeed seed)
    {
        Span<byte> bytes = stackalloc byte[Length + 1];
        bool ok = Convert.TryFromBase64String(text, bytes, out int written) && written == Length;
        seed = ok ? new MaglevSeed(BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..])) : default;
        return ok;
    }

    /// <summary>The base64 text.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Length];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Low);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], (uint)High);
        return Convert.ToBase64String(bytes);
    }
}
