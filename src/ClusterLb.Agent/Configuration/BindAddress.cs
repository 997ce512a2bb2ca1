using System.Globalization;
using System.Net;

namespace ClusterLb.Agent.Configuration;

/// <summary>Addresses to listen on, as kube-proxy's configuration writes them.</summary>
internal static class BindAddress
{
    /// <summary>Reads <c>address</c>, <c>address:port</c>, <c>[v6]:port</c>, <c>:port</c>; empty text is no address at all.</summary>
    public static bool TryParse(string text, int defaultPort, out IPEndPoint? address)
    {
        address = null;
        if (text.Length == 0)
        {
            return true;
        }

        if (text[0] == ':')
        {
            text = "0.0.0.0" + text;
        }

        if (IPAddress.TryParse(text.Trim('[', ']'), out IPAddress? alone))
        {
            address = new IPEndPoint(alone, defaultPort);
            return true;
        }

        int colon = text.LastIndexOf(':');
        if (colon < 0
            || !IPAddress.TryParse(text[..colon].Trim('[', ']'), out IPAddress? host)
            || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            return false;
        }

        address = port == 0 ? null : new IPEndPoint(host, port); // kube-proxy: port 0 switches the server off
        return true;
    }
}
