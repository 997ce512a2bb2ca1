using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The hash of keys in maps and flow tables: multiply-and-fold with a secret seed per file (docs/maps.md).</summary>
/// <remarks>Both factors of each product are mixed with the seed, so that nobody who does not know it can make keys collide.
/// Not a cryptographic hash: who can watch timing for long could learn the seed (design D14 asks for no more).</remarks>
public static class SeededHash
{
    /// <summary>The longest key, in bytes: an IPv6 tuple, padded.</summary>
    public const int MaxKeySize = 40;

    private const ulong Odd = 0x9E37_79B9_7F4A_7C15; // 2^64 divided by the golden ratio: no structure

    /// <summary>Hashes the bytes of a key as little-endian 64-bit words, the last one padded with zeros.</summary>
    /// <typeparam name="TKey">A layout without padding, a multiple of 4 bytes, at most <see cref="MaxKeySize"/>.</typeparam>
    /// <param name="key">Its bytes as they lie in the file.</param>
    /// <param name="seed0">Of the file.</param>
    /// <param name="seed1">Of the file.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of<TKey>(in TKey key, ulong seed0, ulong seed1)
        where TKey : unmanaged
    {
        // The conditions are constants to the JIT: a key of 12 bytes costs two multiplications.
        ulong hash = Fold(Word(key, 0) ^ seed0, Word(key, 1) ^ seed1);
        if (Unsafe.SizeOf<TKey>() > 16)
        {
            hash = Fold(Word(key, 2) ^ hash, Word(key, 3) ^ seed1);
        }

        if (Unsafe.SizeOf<TKey>() > 32)
        {
            hash = Fold(Word(key, 4) ^ hash, Word(key, 5) ^ seed1);
        }

        return Fold(hash ^ seed1, Odd);
    }

    /// <summary>Word <paramref name="index"/> of a key; zero behind its end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Word<TKey>(in TKey key, int index)
        where TKey : unmanaged
    {
        ref byte start = ref Unsafe.As<TKey, byte>(ref Unsafe.AsRef(in key));
        int offset = index * 8;
        int left = Unsafe.SizeOf<TKey>() - offset;
        return left >= 8 ? Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, offset))
            : left >= 4 ? Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref start, offset))
            : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong a, ulong b)
    {
        if (Bmi2.X64.IsSupported)
        {
            // Two products instead of one that returns its lower half through memory: 3 ns less per lookup.
            return Bmi2.X64.MultiplyNoFlags(a, b) ^ (a * b);
        }

        return Math.BigMul(a, b, out ulong low) ^ low;
    }
}
