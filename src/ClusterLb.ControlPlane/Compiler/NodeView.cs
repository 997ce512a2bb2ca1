using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What of this node decides how a service is compiled. Node addresses are not here: node ports stand in the maps once, for
/// all of them, so an address that comes or goes changes no service.</summary>
/// <param name="Name">Decides which backends are local (R10).</param>
/// <param name="Zone">Empty if unknown: then zone hints are not used (R13).</param>
/// <param name="PrimaryIpv4">Masquerade address; the default value if there is none. Matters to source ranges alone (R26).</param>
/// <param name="PrimaryIpv6">As <paramref name="PrimaryIpv4"/>.</param>
/// <param name="AnswersPing">Load balancers' addresses answer pings, so they are marked.</param>
/// <param name="ServesExternalIps">External IPs are frontends; without it nobody is led astray by one (CVE-2020-8554).</param>
public sealed record NodeView(
    string Name, string Zone = "", IpAddr PrimaryIpv4 = default, IpAddr PrimaryIpv6 = default, bool AnswersPing = false,
    bool ServesExternalIps = true);
