using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Configuration;

/// <content>Addresses of this node: what to listen on, what to masquerade with, where node ports answer.</content>
internal static partial class KubeProxyConfiguration
{
    private static AgentOptions ReadAddresses(YamlSection top, AgentOptions options)
    {
        string text = top.Text("bindAddress") ?? "";
        if (!IPAddress.TryParse(text.Length == 0 ? "0.0.0.0" : text, out IPAddress? bind))
        {
            top.Problem("bindAddress", $"is '{text}', but must be an address");
            bind = IPAddress.Any;
        }

        // It is the primary address, and it says of which family the other defaults are; nothing is bound to it.
        bool isIpv6 = bind.AddressFamily == AddressFamily.InterNetworkV6;
        IPEndPoint? healthz = isIpv6 ? new IPEndPoint(IPAddress.IPv6Any, 10256) : options.HealthzBindAddress;
        IPEndPoint? metrics = isIpv6 ? new IPEndPoint(IPAddress.IPv6Loopback, 10249) : options.MetricsBindAddress;
        return options with
        {
            PrimaryAddress = bind.Equals(IPAddress.Any) || bind.Equals(IPAddress.IPv6Any) ? options.PrimaryAddress : IpAddr.Parse(bind.ToString()),
            HealthzBindAddress = ReadAddress(top, "healthzBindAddress", healthz, 10256),
            MetricsBindAddress = ReadAddress(top, "metricsBindAddress", metrics, 10249),
            BindAddressHardFail = top.Flag("bindAddressHardFail", options.BindAddressHardFail),
        };
    }

    private static IPEndPoint? ReadAddress(YamlSection top, string name, IPEndPoint? otherwise, int defaultPort)
    {
        // Empty text is kube-proxy's default here (its flags differ: there it switches the server off).
        string? text = top.Text(name);
        if (string.IsNullOrEmpty(text))
        {
            return otherwise;
        }

        if (BindAddress.TryParse(text, defaultPort, out IPEndPoint? address))
        {
            return address;
        }

        top.Problem(name, $"is '{text}', but must be address or address:port");
        return otherwise;
    }

    private static AgentOptions ReadNodePortAddresses(YamlSection top, AgentOptions options) =>
        NodePortAddresses.Apply(
            top.List("nodePortAddresses"), options, text => top.TryPrefix("nodePortAddresses", text),
            what => top.Problem("nodePortAddresses", what));
}
