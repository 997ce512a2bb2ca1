using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>
/// Finds TCP connections whose backend has left its service, in slices between batches: so a packet of a known flow pays one test of a
/// bit for all that may happen to its backend. docs/conntrack.md has the theory.
/// </summary>
/// <remarks>Shared by all workers; one of them looks at a time, the others do not wait. A worker is online while it looks.</remarks>
public sealed class OrphanSearch(LbMaps maps, FlowTables flows)
{
    // A backend that has left is looked for once more, in case a worker was choosing it just then.
    private const long SecondLookMs = 1_000;

    // How often those that owe an answer are asked: a few times before they are given up.
    private const long AskMs = 150;

    // How often connections that are silent on both sides are asked whether their backend is still there.
    private const long AskAllMs = 10_000;

    private readonly OrphanPass _pass = new(maps);
    private ulong _departures;
    private long _cursor;
    private long _lookAgainAtMs = long.MaxValue;
    private long _askAgainAtMs = long.MaxValue;
    private long _askAllAtMs = long.MaxValue;
    private long _slicedAtMs = long.MinValue;
    private bool _hasLooked; // of this process: what left before its time
    private bool _isLooking; // in the middle of a pass
    private int _busy;

    /// <summary>Connections whose backend has left, as the last pass counted them.</summary>
    public int Orphans { get; private set; }

    /// <summary>In the middle of a look through the tables.</summary>
    public bool IsLooking => _isLooking;

    /// <summary>True if a slice would do something. Cheap: for every batch.</summary>
    public bool IsDue(long nowMs) =>
        nowMs > Volatile.Read(ref _slicedAtMs)
        && (_isLooking || !_hasLooked || maps.Departures != _departures
            || nowMs >= _lookAgainAtMs || nowMs >= _askAgainAtMs || nowMs >= _askAllAtMs);

    /// <summary>Looks at some places.</summary>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="places">To look at.</param>
    /// <param name="questions">Room for <see cref="OrphanPass.MostQuestions"/>: whom to ask, by a packet of <see cref="OrphanProbe"/>.</param>
    /// <returns>Questions.</returns>
    internal int Advance(long nowMs, int places, Span<OrphanQuestion> questions)
    {
        if (Interlocked.CompareExchange(ref _busy, 1, 0) != 0)
        {
            return 0;
        }

        if (!_isLooking)
        {
            Begin(nowMs);
        }

        _pass.NowMs = nowMs;
        _pass.ForgetQuestions();
        _isLooking = flows.LookForOrphans(_pass, ref _cursor, places);
        _pass.Questions.CopyTo(questions);
        int asked = _pass.Questions.Length;
        if (!_isLooking)
        {
            End(nowMs);
        }

        Volatile.Write(ref _slicedAtMs, nowMs);
        Volatile.Write(ref _busy, 0);
        return asked;
    }

    private void Begin(long nowMs)
    {
        ulong departures = maps.Departures; // before the look: whoever leaves from here on raises it again
        if (departures != _departures || !_hasLooked)
        {
            _lookAgainAtMs = nowMs + SecondLookMs;
        }
        else if (nowMs >= _lookAgainAtMs)
        {
            _lookAgainAtMs = long.MaxValue;
        }

        _departures = departures;
        _hasLooked = true;
        _cursor = 0;
        _pass.AsksAll = nowMs >= _askAllAtMs;
        _pass.Orphans = 0;
        _pass.Waiting = 0;
        _pass.Timeouts = new FlowTimeouts(maps.Node.TryLookup(0, out NodeEntry node) ? node : NodeEntry.Default);
    }

    private void End(long nowMs)
    {
        Orphans = _pass.Orphans;
        _askAgainAtMs = _pass.Waiting > 0 ? nowMs + AskMs : long.MaxValue;
        if (_pass.AsksAll || _askAllAtMs == long.MaxValue)
        {
            _askAllAtMs = nowMs + AskAllMs;
        }

        _askAllAtMs = _pass.Orphans > 0 ? _askAllAtMs : long.MaxValue;
    }
}
