using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The first bytes of every file of maps and flow tables, as they lie in memory; little endian (docs/maps.md).</summary>
/// <remarks>Bytes 0 to 119 are written once, before the file gets its name; <see cref="Checksum"/> covers those before itself.
/// What changes later lies on cache lines of its own, so that a writer's counting does not slow a reader's look at the state.</remarks>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal struct MapHeader
{
    /// <summary>Bytes that a header takes in the file.</summary>
    public const int Size = 4096;

    /// <summary>Bytes of the name field; the last is NUL.</summary>
    public const int NameLength = 24;

    /// <summary>Bytes at the beginning that the checksum covers.</summary>
    public const int ChecksumOffset = 112;

    /// <summary>How many <see cref="Words"/> there are.</summary>
    public const int WordCount = 8;

    /// <summary>"CLBMAPS" and a byte above 127, so that no text file is one.</summary>
    public const ulong MagicNumber = 0xFF53_5041_4D42_4C43;

    /// <summary>Version of the header itself.</summary>
    public const uint CurrentVersion = 1;

    /// <summary>State: in use.</summary>
    public const uint Live = 1;

    /// <summary>State: another file has taken over; open it by name again.</summary>
    public const uint Retired = 2;

    [FieldOffset(0)]
    public ulong Magic;

    [FieldOffset(8)]
    public uint Version;

    [FieldOffset(12)]
    public uint LayoutVersion;

    [FieldOffset(16)]
    public NameBytes Name;

    [FieldOffset(40)]
    public uint Capacity;

    [FieldOffset(44)]
    public uint Buckets;

    [FieldOffset(48)]
    public uint Places;

    [FieldOffset(52)]
    public uint PlaceSize;

    [FieldOffset(56)]
    public uint KeySize;

    [FieldOffset(60)]
    public uint ValueSize;

    [FieldOffset(64)]
    public ulong Length;

    /// <summary>/proc/sys/kernel/random/boot_id, its sixteen bytes in the order of the text.</summary>
    [FieldOffset(72)]
    public UInt128Bytes BootId;

    /// <summary>SO_NETNS_COOKIE of the writer; inode numbers of network namespaces repeat, this does not.</summary>
    [FieldOffset(88)]
    public ulong NetnsCookie;

    [FieldOffset(96)]
    public ulong Seed0;

    [FieldOffset(104)]
    public ulong Seed1;

    [FieldOffset(ChecksumOffset)]
    public ulong Checksum;

    /// <summary><see cref="Live"/> or <see cref="Retired"/>.</summary>
    [FieldOffset(128)]
    public uint State;

    /// <summary>The last number handed out by <see cref="MapFile.TakeNumber"/>.</summary>
    [FieldOffset(192)]
    public ulong LastNumber;

    /// <summary>Entries in use; for people, the index is the truth.</summary>
    [FieldOffset(200)]
    public ulong Count;

    /// <summary>Free for the kind of map: prefix lengths in use, the epoch.</summary>
    [FieldOffset(256)]
    public WordArray Words;

    /// <summary>The spec that the header tells, true or not.</summary>
    public readonly MapFileSpec ToSpec()
    {
        ReadOnlySpan<byte> name = Name;
        int end = name.IndexOf((byte)0);
        return new MapFileSpec
        {
            Name = Encoding.Latin1.GetString(end < 0 ? name : name[..end]),
            LayoutVersion = LayoutVersion,
            Capacity = Capacity,
            Buckets = Buckets,
            Places = Places,
            PlaceSize = PlaceSize,
            KeySize = KeySize,
            ValueSize = ValueSize,
        };
    }

    /// <summary>A header for a new file.</summary>
    public static MapHeader For(MapFileSpec spec, NodeIdentity node, ulong seed0, ulong seed1)
    {
        var header = new MapHeader
        {
            Magic = MagicNumber,
            Version = CurrentVersion,
            LayoutVersion = spec.LayoutVersion,
            Capacity = spec.Capacity,
            Buckets = spec.Buckets,
            Places = spec.Places,
            PlaceSize = spec.PlaceSize,
            KeySize = spec.KeySize,
            ValueSize = spec.ValueSize,
            Length = (ulong)spec.Length,
            NetnsCookie = node.NetnsCookie,
            Seed0 = seed0,
            Seed1 = seed1,
            State = Live,
        };
        Encoding.ASCII.GetBytes(spec.Name, header.Name);
        node.BootId.TryWriteBytes(header.BootId, bigEndian: true, out _);
        header.Checksum = ChecksumOf(in header);
        return header;
    }

    /// <summary>FNV-1a, 64 bits, over the fields that never change: finds torn and damaged headers, resists nobody.</summary>
    public static ulong ChecksumOf(ref readonly MapHeader header)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (byte b in MemoryMarshal.AsBytes(new ReadOnlySpan<MapHeader>(in header))[..ChecksumOffset])
        {
            hash = (hash ^ b) * 0x100_0000_01B3;
        }

        return hash;
    }

    [InlineArray(NameLength)]
    public struct NameBytes
    {
        private byte _first;
    }

    [InlineArray(16)]
    public struct UInt128Bytes
    {
        private byte _first;
    }

    [InlineArray(WordCount)]
    public struct WordArray
    {
        private ulong _first;
    }
}
