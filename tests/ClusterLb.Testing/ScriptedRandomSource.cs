using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Testing;

/// <summary>Random numbers that a test wants; behind their end, those of a seeded source.</summary>
public sealed class ScriptedRandomSource(ulong seed = 1) : RandomSource
{
    private readonly Queue<uint> _script = new();
    private readonly FastRandomSource _rest = new(seed);

    /// <summary>The next call of <c>Next(count)</c> answers with this.</summary>
    public ScriptedRandomSource Choose(uint index, uint count)
    {
        _script.Enqueue((uint)((((ulong)index << 32) + count - 1) / count));
        return this;
    }

    public override uint Next() => _script.TryDequeue(out uint scripted) ? scripted : _rest.Next();
}
