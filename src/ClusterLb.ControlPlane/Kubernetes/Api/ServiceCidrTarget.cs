using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>networking.k8s.io/v1 ServiceCIDR: all blocks together are where cluster IPs come from, also those that are being deleted.</summary>
internal sealed class ServiceCidrTarget(ClusterStateStore store) : IReflectorTarget
{
    private const string Origin = "API server";

    private readonly Dictionary<string, (ImmutableArray<IpPrefix> Blocks, int List)> _known = new(StringComparer.Ordinal);
    private int _list;
    private bool _isComplete;
    private volatile int _count;

    /// <inheritdoc/>
    public int Count => _count;

    /// <inheritdoc/>
    public void BeginList() => _list++;

    /// <inheritdoc/>
    public void Put(JsonElement item, long received)
    {
        if (!TryName(item, out string? name))
        {
            return;
        }

        var blocks = ImmutableArray.CreateBuilder<IpPrefix>(2);
        var problems = new List<ObjectProblem>();
        foreach (JsonElement field in item.Field("spec").Items("cidrs"))
        {
            if (TryBlock(field, out IpPrefix block))
            {
                blocks.Add(block);
            }
            else
            {
                problems.Add(Problem(name, $"{field.Shown()} is not an address block; it is skipped"));
            }
        }

        store.SetProblems(Origin, ApiResource.ServiceCidrs.Kind, new ObjectName("", name), problems);
        _known[name] = (blocks.DrainToImmutable(), _list);
        Tell();
    }

    /// <inheritdoc/>
    public void Remove(JsonElement item, long received)
    {
        if (TryName(item, out string? name))
        {
            Remove(name);
            Tell();
        }
    }

    /// <inheritdoc/>
    public void EndList()
    {
        string[] gone = [.. _known.Where(k => k.Value.List != _list).Select(k => k.Key)];
        Array.ForEach(gone, Remove);
        _isComplete = true;
        Tell();
    }

    /// <inheritdoc/>
    public void NotOffered()
    {
        string[] gone = [.. _known.Keys];
        Array.ForEach(gone, Remove);
        Tell();
    }

    private void Remove(string name)
    {
        _known.Remove(name);
        store.SetProblems(Origin, ApiResource.ServiceCidrs.Kind, new ObjectName("", name), []);
    }

    private void Tell()
    {
        _count = _known.Count;
        if (_isComplete) // half a list would take routes away
        {
            store.SetServiceCidrs([.. _known.Values.SelectMany(k => k.Blocks).Distinct().Order()]);
        }
    }

    private static bool TryName(JsonElement item, [NotNullWhen(true)] out string? name)
    {
        try
        {
            return item.Field("metadata").TryText("name", out name);
        }
        catch (InvalidOperationException)
        {
            name = null; // a text that is no text: half a surrogate pair
            return false;
        }
    }

    private static bool TryBlock(JsonElement field, out IpPrefix block)
    {
        block = default;
        try
        {
            return field.ValueKind == JsonValueKind.String && IpPrefix.TryParse(field.GetString(), out block);
        }
        catch (InvalidOperationException)
        {
            return false; // as in a name
        }
    }

    private static ObjectProblem Problem(string name, string reason) =>
        new(Origin, ApiResource.ServiceCidrs.Kind, new ObjectName("", name), "spec.cidrs", reason);
}
