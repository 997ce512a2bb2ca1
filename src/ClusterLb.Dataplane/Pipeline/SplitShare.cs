namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Gives a share of all numbers away, and stretches what is left on either side over all numbers again: so that one number can
/// choose first a group and then one of the group, each as likely as it should be.</summary>
internal static class SplitShare
{
    private const ulong All = 1UL << 32;

    /// <summary>True for <paramref name="percent"/> of all numbers.</summary>
    /// <param name="number">In: uniform over 32 bits. Out: uniform again, whatever the answer.</param>
    /// <param name="percent">0 to 100.</param>
    public static bool Takes(ref uint number, uint percent)
    {
        ulong share = All * Math.Min(percent, 100) / 100;
        bool takes = number < share;
        ulong rest = takes ? share : All - share;
        ulong within = takes ? number : number - share;
        number = (uint)(within * (All - 1) / rest); // rest is 0 only if no number comes here
        return takes;
    }
}
