namespace ClusterLb.Dataplane.Conntrack;

/// <content>Looking through both families for flows whose backend has left.</content>
public sealed partial class FlowTables
{
    /// <summary>Looks at the next places of a pass.</summary>
    /// <param name="pass">What is known and what is found; one thread at a time.</param>
    /// <param name="cursor">How far the pass has come: 0 at its beginning. IPv4 places first, then those of IPv6.</param>
    /// <param name="places">To look at.</param>
    /// <returns>False if that was the last of them.</returns>
    internal bool LookForOrphans(OrphanPass pass, ref long cursor, int places)
    {
        int ipv4 = _ipv4.LastPlace;
        if (cursor < _ipv4.Capacity)
        {
            cursor = _ipv4.LookForOrphans(pass, (int)cursor + 1, places) - 1;
            cursor = cursor >= ipv4 ? _ipv4.Capacity : cursor;
            return true;
        }

        int first = (int)(cursor - _ipv4.Capacity) + 1;
        cursor = _ipv4.Capacity + _ipv6.LookForOrphans(pass, first, places) - 1;
        return cursor - _ipv4.Capacity < _ipv6.LastPlace;
    }
}
