using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What changed, service by service, and the comparison of everything.</summary>
public sealed partial class ReconcileLoop
{
    private void WriteTaken()
    {
        foreach (ObjectName service in _taken)
        {
            long before = _reconciler.Writes;
            if (TrySyncService(service) && _observed.Remove(service, out List<ObservedChange>? observed))
            {
                _trace?.AddWritten(observed, _begun, _reconciler.Writes - before, _reconciler.NewlyEligible);
            }
        }

        _taken.Clear();
        foreach (ObjectName service in _observed.Keys.Where(service => !_failed.Contains(service)).ToArray())
        {
            _observed.Remove(service);
        }

        SyncDisplaced();
    }

    /// <summary>Compares every service with the maps. What changes meanwhile does not wait until all are through.</summary>
    private void Resync()
    {
        long start = _time.GetTimestamp();
        _reconciler.ForgetRefusals();
        HashSet<ObjectName> compared = [.. _taken];
        WriteTaken();
        long before = _reconciler.Writes;
        long others = 0; // writes that changes caused, not the comparison
        bool GiveWay()
        {
            if (Volatile.Read(ref _isPending))
            {
                others -= _reconciler.Writes;
                _begun = _time.GetTimestamp();
                TakeChanges();
                WriteTaken();
                others += _reconciler.Writes;
            }

            return _failed.Count == 0;
        }

        foreach (ObjectName service in _store.ServiceNames().Concat(_reconciler.ServiceNames.ToArray()))
        {
            if (!compared.Add(service))
            {
                continue;
            }

            TrySyncService(service);
            GiveWay();
        }

        SyncDisplaced();
        if (_failed.Count == 0)
        {
            _reconciler.RemoveUnconfirmed(GiveWay); // else what a failed service had before would go with it
        }

        _reconciler.MarkSynced();
        _trace?.AddFirstList(_store.FirstReceived);
        _resyncWrites = _reconciler.Writes - before - others;
        _resyncs++;
        _lastResync = _time.GetTimestamp();
        _resyncDuration = _time.GetElapsedTime(start, _lastResync);
    }

    /// <summary>Services whose frontends changed hands by what was written.</summary>
    private void SyncDisplaced()
    {
        for (IReadOnlyCollection<ObjectName> displaced = _reconciler.TakeDisplaced(); displaced.Count > 0; displaced = _reconciler.TakeDisplaced())
        {
            foreach (ObjectName service in displaced)
            {
                TrySyncService(service);
            }
        }
    }

    /// <summary>Writes one service. One that cannot be written keeps nobody else up: it is told under its name, and tried again.</summary>
    /// <returns>False if it could not be written.</returns>
    private bool TrySyncService(ObjectName name)
    {
        try
        {
            SyncService(name);
            _failed.Remove(name);
            return true;
        }
        catch (Exception e) when (e is not (OutOfMemoryException or IOException)) // those are not about this service
        {
            _failed.Add(name);
            _store.SetProblems(
                "", "Service", name,
                [new ObjectProblem("", "Service", name, "", $"could not be written: {e.Message} ({e.GetType().Name}); it stays as it was and is tried again")]);
            return false;
        }
    }

    private void SyncService(ObjectName name)
    {
        ServiceImage image = ServiceCompiler.Compile(_store.Get(name), _node);
        _tally.Count(image);
        IReadOnlyList<string> conflicts = _reconciler.Sync(image);
        _store.SetProblems("", "Service", name, [.. image.Notices, .. conflicts.Select(conflict => new ObjectProblem("", "Service", name, "", conflict))]);
    }
}
