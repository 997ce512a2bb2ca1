using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Explain;

/// <summary>Finds what somebody may have meant who dialled something that no service has.</summary>
internal sealed class NearMisses(LbMaps maps)
{
    private const int Most = 5;

    /// <summary>Frontends that differ from the destination in one of address, port, protocol; nearest first, each with its difference.</summary>
    public IReadOnlyList<string> Find(FlowTuple tuple) =>
    [
        .. maps.Services.Entries()
            .Where(pair => pair.Key.Slot == 0 && pair.Key.Scope == LookupScope.External && !pair.Value.Flags.HasFlag(ServiceFlags.ActiveAddress))
            .Select(pair => (pair.Key, pair.Value, Difference: Difference(pair.Key, tuple)))
            .Where(candidate => candidate.Difference.Length > 0)
            .OrderBy(candidate => candidate.Difference == "address")
            .ThenBy(candidate => candidate.Key.Address)
            .ThenBy(candidate => candidate.Key.Port)
            .ThenBy(candidate => candidate.Key.Protocol)
            .Take(Most)
            .Select(candidate => Describe(candidate.Key, candidate.Value, candidate.Difference)),
    ];

    private static string Difference(ServiceKey key, FlowTuple tuple)
    {
        bool address = key.Address == tuple.Destination;
        bool port = key.Port == tuple.DestinationPort;
        bool protocol = key.Protocol == tuple.Protocol;
        return (address, port, protocol) switch
        {
            (true, true, false) => "protocol",
            (true, false, true) => "port",
            (true, false, false) => "port and protocol",
            (false, true, true) when key.Address.IsIpv4 == tuple.IsIpv4 => "address",
            _ => "",
        };
    }

    private string Describe(ServiceKey key, ServiceEntry entry, string difference)
    {
        string address = Wording.AddressOf(key.Address, key.Port, key.Protocol);
        return maps.ServiceNames.TryLookup(entry.ServicePortId, out string? name) && name.Length > 0
            ? $"{address} ({name}): other {difference}"
            : $"{address}: other {difference}";
    }
}
