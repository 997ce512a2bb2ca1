using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>A port of a service in one family: it has one set of backends, shared by all its frontends.</summary>
public readonly record struct ServicePortKey(ObjectName Service, string PortName, IpProtocol Protocol, bool IsIpv4)
{
    /// <summary><c>namespace/name:port</c>, without the colon for an unnamed port: as kube-proxy prints it.</summary>
    public override string ToString() => PortName.Length == 0 ? Service.ToString() : $"{Service}:{PortName}";

    /// <summary>Reads back what <see cref="ToString"/> wrote.</summary>
    /// <returns>False if <paramref name="text"/> is not of that form.</returns>
    public static bool TryParse(string text, IpProtocol protocol, bool isIpv4, out ServicePortKey key)
    {
        key = default;
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0)
        {
            return false;
        }

        int colon = text.IndexOf(':', slash);
        string name = colon < 0 ? text[(slash + 1)..] : text[(slash + 1)..colon];
        string portName = colon < 0 ? "" : text[(colon + 1)..];
        key = new ServicePortKey(new ObjectName(text[..slash], name), portName, protocol, isIpv4);
        return name.Length > 0;
    }
}
