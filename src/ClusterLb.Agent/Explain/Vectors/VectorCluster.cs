using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>The cluster of a case: its steps' objects pass through a directory of manifests, so that they are read as the agent reads them.</summary>
internal sealed class VectorCluster : IDisposable
{
    private static readonly LbMapCapacities SmallMaps = new()
    {
        Services = 8192,
        Backends = 4096,
        Frontends = 2048,
        Serving = 8192,
        Eligible = 8192,
        ServicePorts = 2048,
        Networks = 1024,
        SourceRanges = 1024,
    };

    private readonly string _directory = Directory.CreateTempSubdirectory("clusterlb-vectors-").FullName;
    private readonly CompiledCluster _cluster;
    private int _step;

    /// <summary>A cluster without objects.</summary>
    /// <exception cref="VectorException">An address of the node or the network cannot be read.</exception>
    public VectorCluster(VectorCase vector)
    {
        _cluster = new CompiledCluster(_directory, vector.Node.Name, SmallMaps);
        LocalNode node = NodeOf(vector.Node);
        _cluster.Store.Put(node);
        _cluster.Store.SetNetwork(NetworkOf(vector, node));
    }

    /// <summary>As the dataplane of the node would see them.</summary>
    public LbMaps Maps => _cluster.Maps;

    /// <summary>Replaces all objects, and waits until the maps show it.</summary>
    /// <returns>What the control plane has against them.</returns>
    public IReadOnlyList<string> Apply(IReadOnlyList<JsonElement> objects)
    {
        // Another name for each step: a file that is replaced within one tick of the clock looks unchanged.
        File.Delete(PathOf(_step++));
        File.WriteAllText(PathOf(_step), ListOf(objects));
        _cluster.Sync();
        return [.. _cluster.Store.Problems.Select(problem => (problem with { Origin = "" }).ToString())];
    }

    /// <summary>Compares what the step expects beside its flows.</summary>
    public IReadOnlyList<VectorCheckReport> Check(VectorStep step) => new StepChecks(_cluster.Store, _cluster.Status).Run(step);

    /// <inheritdoc/>
    public void Dispose()
    {
        _cluster.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static LocalNode NodeOf(VectorNode vector) => new()
    {
        Name = vector.Name,
        Zone = vector.Zone ?? "",
        Addresses = [.. vector.Ips.Select(AddressOf)],
    };

    private static NetworkInputs NetworkOf(VectorCase vector, LocalNode node)
    {
        VectorConfig config = vector.Config ?? new VectorConfig();
        bool isPrimaryOnly = vector.Node.NodePortAddresses is ["primary"];
        return new NetworkInputs
        {
            ServiceRanges = [.. vector.Cluster.ServiceCidrs.Select(PrefixOf)],
            PodRanges = [.. vector.Node.PodCidrs.Select(PrefixOf)],
            Detection = config.DetectLocal == "none" ? LocalDetection.None : LocalDetection.PodRanges,
            NodeAddresses = node.Addresses,
            NodePortRanges = isPrimaryOnly ? [] : [.. (vector.Node.NodePortAddresses ?? []).Select(PrefixOf)],
            NodePortsOnPrimaryOnly = isPrimaryOnly,
            LocalhostNodePorts = config.LocalhostNodePorts,
            MasqueradeAll = config.MasqueradeAll,
        };
    }

    private static IpAddr AddressOf(string text) =>
        IpAddr.TryParse(text, out IpAddr address) ? address : throw new VectorException($"'{text}' is not an IP address");

    private static IpPrefix PrefixOf(string text) =>
        IpPrefix.TryParse(text, out IpPrefix prefix) ? prefix : throw new VectorException($"'{text}' is not an address block");

    private static string ListOf(IReadOnlyList<JsonElement> objects) =>
        $$"""{"apiVersion":"v1","kind":"List","items":[{{string.Join(',', objects.Select(o => o.GetRawText()))}}]}""";

    private string PathOf(int step) => Path.Combine(_directory, $"step-{step}.json");
}
