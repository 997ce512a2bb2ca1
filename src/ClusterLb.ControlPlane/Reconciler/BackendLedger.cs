using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Which backends exist, and how many service ports each of them serves: the last one out removes the entry.</summary>
internal sealed class BackendLedger(MapWriter writer)
{
    private readonly IdAllocator<BackendKey> _ids = new(writer.Maps.Backends.TakeNumber);
    private readonly Dictionary<uint, Uses> _uses = [];

    public int Count => _uses.Count;

    /// <summary>Learns the ids of an earlier life; the entries stay unused until a service port takes them.</summary>
    public void Adopt()
    {
        foreach ((uint id, BackendEntry entry) in writer.Maps.Backends.Entries())
        {
            _ids.Learn(new BackendKey(entry.Address, entry.Port, entry.Protocol), id);
        }
    }

    public void Reserve(uint id) => _ids.Reserve(id);

    public bool IsUsed(uint id) => _uses.ContainsKey(id);

    /// <summary>It has an entry, in use or of an earlier life.</summary>
    public bool Knows(BackendKey key) => _ids.TryGet(key, out _);

    public bool TryGetId(BackendKey key, out uint id) => _ids.TryGet(key, out id) && _uses.ContainsKey(id);

    /// <summary>One more service port uses the backend; its entry is there when this returns.</summary>
    /// <returns>False if the map is full; then nothing is taken.</returns>
    public bool TryTake(in BackendImage backend, out uint id)
    {
        id = _ids.Get(backend.Key);
        Uses uses = _uses.GetValueOrDefault(id, new Uses(backend.Key, 0, 0, 0)).With(backend.State, 1);
        if (!TryWrite(id, uses))
        {
            if (!_uses.ContainsKey(id))
            {
                _ids.Release(backend.Key);
            }

            return false;
        }

        _uses[id] = uses;
        return true;
    }

    /// <summary>One service port less uses the backend. The entry goes with the last one, so no slot may name it any more.</summary>
    public void Return(uint id, BackendState state)
    {
        Uses uses = _uses[id].With(state, -1);
        if (uses.Total > 0)
        {
            _uses[id] = uses;
            TryWrite(id, uses);
            return;
        }

        _uses.Remove(id);
        _ids.Release(uses.Key);
        writer.Remove(writer.Maps.Backends, id);
    }

    /// <summary>Writes the entry again if it is not as it should be.</summary>
    public void Verify(uint id) => TryWrite(id, _uses[id]);

    private bool TryWrite(uint id, Uses uses) =>
        writer.Put(writer.Maps.Backends, id, new BackendEntry(uses.Key.Address, uses.Key.Port, uses.Key.Protocol, uses.State));

    /// <summary>A backend that is ready for one service and terminating for another is active; of several states the best one counts.</summary>
    private readonly record struct Uses(BackendKey Key, int Total, int Active, int Terminating)
    {
        public BackendState State => Active > 0 ? BackendState.Active : Terminating > 0 ? BackendState.Terminating : BackendState.NotServing;

        public Uses With(BackendState state, int change) => new(
            Key,
            Total + change,
            Active + (state == BackendState.Active ? change : 0),
            Terminating + (state == BackendState.Terminating ? change : 0));
    }
}
