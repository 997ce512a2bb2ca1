using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Makes the maps say what the images say, in an order in which a reader never finds a slot without its backend.</summary>
/// <remarks>
/// The one writer of the maps; not thread-safe. Frontends and slots are compared with the maps themselves, not with a memory of
/// them: so a restart, a retry after a full map and a resync are all the same comparison. README.md of this project has the order.
/// </remarks>
public sealed partial class MapReconciler
{
    private readonly MapWriter _writer;
    private readonly LbMaps _maps;
    private readonly SelectionOptions _selection;
    private readonly BackendLedger _backends;
    private readonly IdAllocator<FrontendKey> _frontendIds;
    private readonly IdAllocator<ServicePortKey> _portIds;
    private readonly FrontendClaims _claims = new();
    private readonly Dictionary<ObjectName, ServiceLedger> _ledgers = [];
    private readonly Dictionary<uint, ServicePortLedger> _ports = []; // of all ledgers, by id
    private readonly HashSet<ObjectName> _displaced = [];
    private readonly HashSet<ObjectName> _incomplete = [];
    private readonly List<ServingKey> _newlyEligible = [];
    private ulong _revision;

    /// <summary>Takes over what the maps hold: ids stay, nothing is written.</summary>
    /// <param name="maps">The maps; nobody else may write to them.</param>
    /// <param name="time">Where revisions of service ports start, so that none comes twice over restarts.</param>
    /// <param name="selection">How backends are chosen where a service does not say.</param>
    public MapReconciler(LbMaps maps, TimeProvider? time = null, SelectionOptions? selection = null)
    {
        _maps = maps;
        selection ??= new SelectionOptions();
        _selection = selection.Algorithm == SelectionAlgorithm.Default ? selection with { Algorithm = SelectionAlgorithm.Random } : selection;
        _table = new uint[maps.Maglev.TableSize];
        _writer = new MapWriter(maps);
        _backends = new BackendLedger(_writer);
        _frontendIds = new IdAllocator<FrontendKey>(maps.ReverseNat.TakeNumber);
        _portIds = new IdAllocator<ServicePortKey>(maps.ServicePorts.TakeNumber);
        _revision = (ulong)(time ?? TimeProvider.System).GetUtcNow().ToUnixTimeMilliseconds() << 20;
        Adopt();
    }

    /// <summary>Entries written or deleted since the start.</summary>
    public long Writes => _writer.Writes;

    /// <summary>Names of the maps that had no room since the last <see cref="ForgetRefusals"/>.</summary>
    public IReadOnlyCollection<string> FullMaps => _writer.FullMaps;

    /// <summary>What was done to each map. Any thread.</summary>
    public ICollection<MapOperations> Operations => _writer.Operations;

    /// <summary>Services with at least one entry, or one that waits for a frontend.</summary>
    public int ServiceCount => _ledgers.Count;

    /// <summary>Their names.</summary>
    public IEnumerable<ObjectName> ServiceNames => _ledgers.Keys;

    /// <summary>Backends in the maps that a service uses.</summary>
    public int BackendCount => _backends.Count;

    /// <summary>Services that could not be written completely.</summary>
    public int IncompleteCount => _incomplete.Count;

    /// <summary>Service ports and backends that the last <see cref="Sync(ServiceImage)"/> put into a slot where they were not before.</summary>
    internal IReadOnlyList<ServingKey> NewlyEligible => _newlyEligible;

    /// <summary>Makes the maps say what the image says. Writes only what differs.</summary>
    /// <returns>Frontends that belong to an older service, and tables there was no room for, one line each.</returns>
    public IReadOnlyList<string> Sync(ServiceImage image)
    {
        _unconfirmed.Remove(image.Service);
        _newlyEligible.Clear();
        ServiceLedger before = _ledgers.GetValueOrDefault(image.Service, ServiceLedger.Empty);
        FrontendKey[] frontendsBefore = [.. before.Ports.SelectMany(p => p.Frontends)];
        long refused = _writer.Refused;
        List<string> conflicts = [];
        (FrontendKey[] claims, HashSet<FrontendKey> owned) = Claim(image, conflicts);

        // What frontends will point to comes first, for all ports: a frontend may move from one port to another.
        var ports = new List<(ServicePortImage Image, ServicePortLedger Ledger, ServingBackend[] Gone)>(image.Ports.Count);
        var goneTables = new List<MaglevKey>();
        foreach (ServicePortImage port in image.Ports)
        {
            if (AddPort(port, before) is { } ledger)
            {
                AddSourceRanges(port, ledger);
                ports.Add((port, ledger, AddServing(port, ledger)));
                goneTables.AddRange(AddTables(port, ledger, conflicts));
            }
        }

        var written = new HashSet<FrontendKey>();
        foreach ((ServicePortImage port, ServicePortLedger ledger, _) in ports)
        {
            SyncFrontends(port, ledger, owned, written);
        }

        foreach (AddressMark mark in image.AddressMarks.Where(mark => owned.Contains(mark.Key)))
        {
            bool isFiltered = mark.Kind.HasFlag(ServiceFlags.SourceRange);
            WriteMark(mark, isFiltered ? ports.Find(p => p.Image.Key.IsIpv4 == mark.Address.IsIpv4).Ledger : null);
        }

        // From here on things go: first the frontends, then what nothing points to any more.
        RemoveFrontends(frontendsBefore.Where(k => !written.Contains(k)), before, image);
        RemoveTables(goneTables);
        foreach ((ServicePortImage port, ServicePortLedger ledger, ServingBackend[] gone) in ports)
        {
            RemoveSourceRanges(ledger, port.SourceRanges);
            RemoveServing(ledger, gone);
        }

        foreach (ServicePortLedger gone in before.Ports)
        {
            if (!ports.Exists(p => p.Ledger == gone))
            {
                RemovePort(gone);
            }
        }

        ReleaseClaims(before.Claims, claims, image.Service);
        Remember(image.Service, before, new ServiceLedger([.. ports.Select(p => p.Ledger)], claims), _writer.Refused != refused);
        return conflicts;
    }

    /// <summary>Services that must be synced again because a frontend changed hands; empty afterwards.</summary>
    public IReadOnlyCollection<ObjectName> TakeDisplaced()
    {
        ObjectName[] displaced = [.. _displaced];
        _displaced.Clear();
        return displaced;
    }

    /// <summary>Starts the account of full maps anew, before all services are tried again.</summary>
    public void ForgetRefusals() => _writer.ForgetFullMaps();

    private void Remember(ObjectName service, ServiceLedger before, ServiceLedger ledger, bool isIncomplete)
    {
        foreach (ServicePortLedger port in before.Ports)
        {
            _ports.Remove(port.Id);
        }

        foreach (ServicePortLedger port in ledger.Ports)
        {
            _ports[port.Id] = port;
        }

        if (ledger.Claims.Length == 0 && ledger.Ports.Length == 0)
        {
            _ledgers.Remove(service);
        }
        else
        {
            _ledgers[service] = ledger;
        }

        if (isIncomplete)
        {
            _incomplete.Add(service);
        }
        else
        {
            _incomplete.Remove(service);
        }
    }

    private (FrontendKey[] Claims, HashSet<FrontendKey> Owned) Claim(ServiceImage image, List<string> conflicts)
    {
        (FrontendKey Key, ServiceFlags Kind)[] wanted =
        [
            .. image.Ports.SelectMany(p => p.Frontends).Select(f => (f.Key, f.Flags)).DistinctBy(f => f.Key),
            .. image.AddressMarks.Select(mark => (mark.Key, mark.Kind)),
        ];
        var owned = new HashSet<FrontendKey>(wanted.Length);
        foreach ((FrontendKey key, ServiceFlags kind) in wanted)
        {
            var claim = new FrontendClaims.Claim(kind, image.CreatedAt, image.Service);
            if (_claims.TryClaim(key, claim, out ObjectName? displaced))
            {
                owned.Add(key);
            }
            else if (!key.IsAddressMark)
            {
                conflicts.Add($"{key} belongs to {_claims.OwnerOf(key).Against(claim)}, and is served for that one alone");
            }

            if (displaced is { } other)
            {
                _displaced.Add(other);
            }
        }

        return ([.. wanted.Select(w => w.Key)], owned);
    }

    private void ReleaseClaims(FrontendKey[] before, FrontendKey[] now, ObjectName service)
    {
        foreach (FrontendKey key in before)
        {
            if (Array.IndexOf(now, key) < 0 && _claims.Release(key, service) is { } next)
            {
                _displaced.Add(next);
            }
        }
    }

    /// <summary>Null if there is no room for it.</summary>
    private ServicePortLedger? AddPort(ServicePortImage port, ServiceLedger before)
    {
        ServicePortLedger? known = Array.Find(before.Ports, p => p.Key == port.Key);
        uint id = known?.Id ?? _portIds.Get(port.Key);
        if (!_maps.ServicePorts.TryLookup(id, out _) && !_writer.Put(_maps.ServicePorts, id, new ServicePortEntry(++_revision)))
        {
            if (known is null)
            {
                _portIds.Release(port.Key);
            }

            return known; // known: its serving entries must still be looked after
        }

        _writer.Put(_maps.ServiceNames, id, port.Key.ToString());
        return known ?? new ServicePortLedger(port.Key, id);
    }

    /// <summary>Adds backends that are new, and says which are gone; those are still there, because slots may name them.</summary>
    private ServingBackend[] AddServing(ServicePortImage port, ServicePortLedger ledger)
    {
        var before = new HashSet<ServingBackend>(ledger.Serving);
        var now = new List<ServingBackend>(port.Serving.Count);
        foreach (BackendImage backend in port.Serving.Concat(Remembered(port)))
        {
            bool isKept = _backends.TryGetId(backend.Key, out uint id) && before.Remove(new ServingBackend(id, backend.State));
            if (isKept)
            {
                _backends.Verify(id);
            }
            else if (!_backends.TryTake(backend, out id))
            {
                continue;
            }

            var serving = new ServingBackend(id, backend.State);
            if (backend.State == BackendState.NotServing || _writer.Put(_maps.Serving, new ServingKey(ledger.Id, id), (byte)0))
            {
                now.Add(serving);
            }
            else
            {
                before.Add(serving);
            }
        }

        ledger.Serving = [.. now];
        return [.. before];
    }

    /// <summary>Where connections are reset when their backend is gone, one that is only not ready must not be taken for gone: its entry, and
    /// its id, stay for as long as a slice names it.</summary>
    private IEnumerable<BackendImage> Remembered(ServicePortImage port) =>
        PolicyOf(port) == BackendGonePolicy.Reset
            ? port.NotServing.Where(_backends.Knows).Select(key => new BackendImage(key, BackendState.NotServing))
            : [];

    /// <summary>Removes backends that stopped serving; only then the port's revision rises, so that a flow which looks again finds
    /// the entry gone.</summary>
    private void RemoveServing(ServicePortLedger ledger, ServingBackend[] gone)
    {
        bool anyStopped = false;
        foreach (ServingBackend backend in gone)
        {
            if (!Array.Exists(ledger.Serving, s => s.Id == backend.Id && s.State != BackendState.NotServing))
            {
                _writer.Remove(_maps.Serving, new ServingKey(ledger.Id, backend.Id));
                anyStopped = true;
            }
        }

        if (anyStopped)
        {
            _writer.Put(_maps.ServicePorts, ledger.Id, new ServicePortEntry(++_revision));
        }

        foreach (ServingBackend backend in gone)
        {
            _backends.Return(backend.Id, backend.State);
        }

        if (anyStopped)
        {
            _maps.CountDeparture(); // now that all of it is written
        }
    }

    private void RemovePort(ServicePortLedger ledger)
    {
        RemoveSourceRanges(ledger, []);
        RemoveTables(ledger.Tables.Select(t => t.Key));
        ServingBackend[] gone = ledger.Serving;
        foreach (ServingBackend backend in gone)
        {
            _writer.Remove(_maps.Serving, new ServingKey(ledger.Id, backend.Id));
        }

        _writer.Remove(_maps.ServicePorts, ledger.Id);
        _writer.Remove(_maps.ServiceNames, ledger.Id);
        _portIds.Release(ledger.Key);
        foreach (ServingBackend backend in gone)
        {
            _backends.Return(backend.Id, backend.State);
        }

        if (gone.Length > 0)
        {
            _maps.CountDeparture();
        }
    }

    private static ServiceKey HeadKey(FrontendKey key, LookupScope scope) => new(key.Address, key.Port, key.Protocol, scope, 0);
}
