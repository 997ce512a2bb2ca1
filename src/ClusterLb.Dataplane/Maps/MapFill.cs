namespace ClusterLb.Dataplane.Maps;

/// <summary>How full one file is. A map with a file per family has two, each with the whole capacity.</summary>
/// <param name="Name">The file's.</param>
/// <param name="Count">Entries in use.</param>
/// <param name="Capacity">Entries that fit.</param>
public readonly record struct MapFill(string Name, int Count, int Capacity);
