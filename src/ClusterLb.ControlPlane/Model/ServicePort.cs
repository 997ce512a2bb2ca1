using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Model;

/// <summary>One port of a service. targetPort is not here: the slices carry the port that backends listen on (R5).</summary>
/// <param name="Name">Empty if the service has a single unnamed port.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="Port">What clients dial, host order.</param>
/// <param name="NodePort">0 if there is none.</param>
public sealed record ServicePort(string Name, IpProtocol Protocol, ushort Port, ushort NodePort = 0);
