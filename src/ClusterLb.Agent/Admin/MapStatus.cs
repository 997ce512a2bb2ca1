namespace ClusterLb.Agent.Admin;

/// <summary>Fill of a map.</summary>
/// <param name="Name">The file's.</param>
/// <param name="Count">Entries in use.</param>
/// <param name="Capacity">Entries that fit.</param>
public sealed record MapStatus(string Name, int Count, int Capacity);
