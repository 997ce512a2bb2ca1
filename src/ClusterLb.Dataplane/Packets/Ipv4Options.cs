namespace ClusterLb.Dataplane.Packets;

/// <summary>The options of an IPv4 header (RFC 791, section 3.1): their shape is checked, their meaning left to others.</summary>
internal static class Ipv4Options
{
    private const byte EndOfList = 0;
    private const byte NoOperation = 1;
    private const byte LooseSourceRoute = 131;
    private const byte StrictSourceRoute = 137;

    /// <summary>True if every option lies inside and none of them is a source route.</summary>
    /// <remarks>
    /// A source-routed packet has its final destination in the option, and its transport checksum covers that one
    /// (RFC 1122, section 4.1.3.5): translating the header's destination would corrupt it. The kernel refuses them as well.
    /// </remarks>
    public static bool AreAcceptable(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty && options[0] != EndOfList)
        {
            if (options[0] == NoOperation)
            {
                options = options[1..];
                continue;
            }

            if (options[0] is LooseSourceRoute or StrictSourceRoute
                || options.Length < 2 || options[1] < 2 || options[1] > options.Length)
            {
                return false;
            }

            options = options[options[1]..];
        }

        return true;
    }
}
