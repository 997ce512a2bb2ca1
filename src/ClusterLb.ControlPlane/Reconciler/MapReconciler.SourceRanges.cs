using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Who may use a filtered frontend. New ranges come before the frontends, old ones go after them: nobody who is allowed before
/// and after is refused in between.</summary>
public sealed partial class MapReconciler
{
    /// <summary>Ranges that do not fit keep their sources out: the map is reported as full.</summary>
    private void AddSourceRanges(Compiler.ServicePortImage port, ServicePortLedger ledger)
    {
        foreach (IpPrefix range in port.SourceRanges)
        {
            if (_writer.Put(_maps.SourceRanges, new SourceRangeKey(ledger.Id, range), (byte)0) && !ledger.SourceRanges.Contains(range))
            {
                ledger.SourceRanges = [.. ledger.SourceRanges, range];
            }
        }
    }

    private void RemoveSourceRanges(ServicePortLedger ledger, IReadOnlyList<IpPrefix> wanted)
    {
        if (ledger.SourceRanges.Length == 0)
        {
            return;
        }

        foreach (IpPrefix range in ledger.SourceRanges.Except(wanted))
        {
            _writer.Remove(_maps.SourceRanges, new SourceRangeKey(ledger.Id, range));
        }

        ledger.SourceRanges = [.. ledger.SourceRanges.Intersect(wanted)];
    }
}
