namespace ClusterLb.Dataplane.Maps;

/// <summary>How the Maglev tables lie in the file maglev: a hash map by service port and set whose value is a whole table.</summary>
/// <remarks>A table is replaced as any other entry, by one store of its index word: no reader ever sees half of a rebuild. A reader
/// copies one backend id out of it, not the table.</remarks>
internal static class MaglevLayout
{
    public const string FileName = "maglev";

    /// <summary>From the start of a place: generation, key, then the table's backend ids.</summary>
    public const int TableOffset = 12;

    // A table is large and rebuilt rarely: few places need to wait for workers at once.
    private const int FewestSpare = 2;

    /// <summary>The file for so many tables of so many slots each.</summary>
    public static MapFileSpec Spec(int tables, int slots) =>
        HashMap<MaglevKey, NoValue>.Spec(FileName, tables) with
        {
            Places = (uint)(1 + tables + Math.Max(FewestSpare, tables / 8)),
            PlaceSize = (uint)((TableOffset + (slots * sizeof(uint)) + 63) & ~63),
            ValueSize = (uint)(slots * sizeof(uint)),
        };

    /// <summary>The file whatever its sizes: a reader finds them in the header.</summary>
    public static MapFileSpec AnySpec { get; } =
        HashMap<MaglevKey, NoValue>.Spec(FileName, 1) with { PlaceSize = MapFileSpec.AnySize, ValueSize = MapFileSpec.AnySize };

    /// <summary>Where a slot's backend id lies, in bytes from the start of a place.</summary>
    public static int SlotOffset(int slot) => TableOffset + (slot * sizeof(uint));
}
