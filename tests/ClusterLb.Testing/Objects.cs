using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Testing;

/// <summary>Short ways to write services and slices in tests.</summary>
public static class Objects
{
    /// <summary>A service in namespace "test": <c>Service("web", "10.96.0.10", "http:80/TCP")</c>; several addresses are separated by commas.</summary>
    public static Service Service(string name, string clusterIps, params string[] ports) => new()
    {
        Name = new ObjectName("test", name),
        ClusterIps = [.. clusterIps.Split(',').Select(IpAddr.Parse)],
        Ports = [.. ports.Select(Port).Select(p => new ServicePort(p.Name, p.Protocol, p.Port))],
    };

    /// <summary>A slice <c>NAME-PART</c> of a service: <c>Slice("web", "1", "http:8080/TCP", Ready("10.244.1.5"))</c>.</summary>
    public static BackendSlice Slice(string service, string part, string port, params Backend[] backends) => new()
    {
        Name = new ObjectName("test", $"{service}-{part}"),
        Service = new ObjectName("test", service),
        IsIpv4 = backends.Length == 0 || backends[0].Address.IsIpv4,
        Ports = [Port(port)],
        Backends = [.. backends],
    };

    public static Backend Ready(string address, string node = "node-b") =>
        new(IpAddr.Parse(address), BackendConditions.Ready | BackendConditions.Serving, node, null);

    public static Backend Terminating(string address, string node = "node-b") =>
        new(IpAddr.Parse(address), BackendConditions.Serving | BackendConditions.Terminating, node, null);

    public static Backend NotReady(string address, string node = "node-b") =>
        new(IpAddr.Parse(address), BackendConditions.None, node, null);

    public static Backend ForZones(this Backend backend, params string[] zones) =>
        backend with { Hints = new TopologyHints([], [.. zones]) };

    public static Backend ForNodes(this Backend backend, params string[] nodes) =>
        backend with { Hints = new TopologyHints([.. nodes], []) };

    private static BackendPort Port(string text)
    {
        string[] parts = text.Split(':', '/'); // name:port/protocol
        return new BackendPort(parts[0], Enum.Parse<IpProtocol>(parts[2], ignoreCase: true), ushort.Parse(parts[1]));
    }
}
