namespace ClusterLb.Dataplane.Maps;

/// <summary>How the Maglev tables lie in the file maglev: a hash map by service port id whose value is a whole table.</summary>
/// <remarks>A table is replaced as any other entry, by one store of its index word: no reader ever sees half of a rebuild. A reader
/// copies one backend id out of it, not the table.</remarks>
internal static class MaglevLayout
{
    public const string FileName = "maglev";

    /// <summary>From the start of a place: generation, service port id, then the table's backend ids.</summary>
    public const int TableOffset = 8;

    /// <summary>The file for so many tables of so many slots each.</summary>
    public static MapFileSpec Spec(int tables, int slots) =>
        HashMap<uint, uint>.Spec(FileName, tables) with
        {
            PlaceSize = (uint)((TableOffset + (slots * sizeof(uint)) + 63) & ~63),
            ValueSize = (uint)(slots * sizeof(uint)),
        };

    /// <summary>Where a slot's backend id lies, in bytes from the start of a place.</summary>
    public static int SlotOffset(int slot) => TableOffset + (slot * sizeof(uint));
}
