using System.Numerics;

namespace ClusterLb.Dataplane.Maps;

/// <summary>What a map's file holds: its name and layout, and the numbers from which every offset in it follows.</summary>
/// <remarks>A file is a header of <see cref="MapHeader.Size"/> bytes, then <see cref="Buckets"/> of 64 bytes, then
/// <see cref="Places"/> of <see cref="PlaceSize"/> bytes. Place 0 exists and is never used: a zero index word is free.</remarks>
public sealed record MapFileSpec
{
    /// <summary>Bytes of a bucket of the index: a cache line.</summary>
    public const int BucketSize = 64;

    /// <summary>Stands for a size that a reader takes as it finds it.</summary>
    internal const uint AnySize = uint.MaxValue;

    /// <summary>File name in its directory, and in the header: ASCII, at most 23 characters.</summary>
    public required string Name { get; init; }

    /// <summary>Raised whenever a byte of a place, or the meaning of one, changes.</summary>
    public uint LayoutVersion { get; init; } = 1;

    /// <summary>Entries that may be in use at once.</summary>
    public required uint Capacity { get; init; }

    /// <summary>Buckets of the index: a power of two, or 0 for a file that is only an array of places.</summary>
    public uint Buckets { get; init; }

    /// <summary>Places, the unused place 0 included.</summary>
    public required uint Places { get; init; }

    /// <summary>Bytes from one place to the next.</summary>
    public required uint PlaceSize { get; init; }

    /// <summary>Bytes of a key; 0 if the file has none.</summary>
    public uint KeySize { get; init; }

    /// <summary>Bytes of a value.</summary>
    public uint ValueSize { get; init; }

    /// <summary>Who may open the file. LB maps: owner and group read (0640); flow tables: the owner alone (0600).</summary>
    public UnixFileMode Mode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    /// <summary>Where the first bucket begins, in bytes from the start of the file.</summary>
    public const long IndexOffset = MapHeader.Size;

    /// <summary>Where place 0 begins, in bytes from the start of the file.</summary>
    public long PlacesOffset => MapHeader.Size + ((long)Buckets * BucketSize);

    /// <summary>Bytes of the whole file.</summary>
    public long Length => PlacesOffset + ((long)Places * PlaceSize);

    /// <summary>True if a reader of <paramref name="other"/> finds the same bytes at the same place; sizes of the file may differ.</summary>
    public bool HasLayoutOf(MapFileSpec other) =>
        Name == other.Name && LayoutVersion == other.LayoutVersion
        && KeySize == other.KeySize
        && (other.PlaceSize == AnySize || (PlaceSize == other.PlaceSize && ValueSize == other.ValueSize));

    /// <summary>True if also the sizes are the same.</summary>
    public bool HasShapeOf(MapFileSpec other) =>
        HasLayoutOf(other) && Capacity == other.Capacity && Buckets == other.Buckets && Places == other.Places;

    /// <summary>Why no file can be like this; null if it can.</summary>
    internal string? Problem()
    {
        if (Name.Length is 0 or >= MapHeader.NameLength)
        {
            return $"its name has {Name.Length} characters, not 1 to {MapHeader.NameLength - 1}";
        }

        if (Places == 0 || PlaceSize is < 8 or > 1 << 24 || PlaceSize % 8 != 0)
        {
            return $"{Places} places of {PlaceSize} bytes are impossible";
        }

        if (Buckets != 0 && !BitOperations.IsPow2(Buckets))
        {
            return $"{Buckets} buckets are not a power of two";
        }

        if (KeySize + ValueSize > PlaceSize || Capacity > Places)
        {
            return "its sizes contradict each other";
        }

        return null;
    }
}
