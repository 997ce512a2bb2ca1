namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Where the pipeline's random choices come from: an input, so that a run can be repeated (design D8).</summary>
/// <remarks>Used by one worker only; not thread-safe.</remarks>
public abstract class RandomSource
{
    /// <summary>32 uniformly distributed bits.</summary>
    public abstract uint Next();

    /// <summary>A number from 0 to <paramref name="count"/> - 1, by multiplication (Lemire 2019), biased by less than count / 2^32.</summary>
    public uint Next(uint count) => (uint)(((ulong)Next() * count) >> 32);
}
