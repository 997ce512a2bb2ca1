namespace ClusterLb.Agent.Steering;

/// <summary>What was loaded into nft.</summary>
/// <param name="Loaded">The file, as we wrote it.</param>
/// <param name="Listed">The same as nft lists it: if it lists the same later, nobody changed it.</param>
internal sealed record LoadedNft(string Loaded, string Listed);
