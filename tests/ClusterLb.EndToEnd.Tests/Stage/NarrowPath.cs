using ClusterLb.Dataplane;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A member's way to an address that takes less than both ends think, until it is disposed.</summary>
internal sealed class NarrowPath : IDisposable
{
    /// <summary>Bytes.</summary>
    public const int Mtu = 1400;

    private readonly LabFixture _fixture;
    private readonly string _router;
    private readonly string[] _restore;

    private NarrowPath(LabFixture fixture, string router, string[] route, string[] restore)
    {
        _fixture = fixture;
        _router = router;
        _restore = restore;
        fixture.Exec(router, [.. route, "mtu", "lock", $"{Mtu}"]);
    }

    /// <summary>The link of a pod, as its node sees it.</summary>
    public static NarrowPath ToPod(LabFixture fixture, string name, bool ipv6)
    {
        LabPod pod = fixture.Topology.Pod(name);
        IpAddr address = ipv6 ? pod.Ipv6 : pod.Ipv4;
        string[] route = ["ip", "route", "replace", $"{address}/{address.BitLength}", "dev", pod.NodeInterface,
            .. ipv6 ? (string[])["metric", "1024"] : ["scope", "link"]];
        return new NarrowPath(fixture, pod.Node.Name, route, route);
    }

    /// <summary>The link of the external client, as its router sees it.</summary>
    public static NarrowPath ToClient(LabFixture fixture, bool ipv6)
    {
        IpAddr address = ipv6 ? LabTopology.ClientIpv6 : LabTopology.ClientIpv4;
        string[] route = [$"{address}/{address.BitLength}", "dev", LabTopology.ClientName];
        return new NarrowPath(
            fixture, LabTopology.SwitchName, ["ip", "route", "replace", .. route], ["ip", "route", "del", .. route]);
    }

    public void Dispose()
    {
        _fixture.Exec(_router, _restore);
        _fixture.ForgetPathMtus();
    }
}
