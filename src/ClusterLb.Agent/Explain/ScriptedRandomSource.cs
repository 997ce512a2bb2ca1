using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Explain;

/// <summary>Answers the first question as told, all further ones by an ordinary source: so a selection can be forced.</summary>
/// <remarks>The first random number of a new flow is the one that chooses its slot.</remarks>
internal sealed class ScriptedRandomSource(uint first) : RandomSource
{
    private readonly FastRandomSource _further = new(first);
    private bool _asked;

    /// <inheritdoc/>
    public override uint Next()
    {
        if (_asked)
        {
            return _further.Next();
        }

        _asked = true;
        return first;
    }
}
