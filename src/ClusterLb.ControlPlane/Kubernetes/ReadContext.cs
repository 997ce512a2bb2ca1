using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>The object being read: collects its problems, and shares strings that occur in many objects.</summary>
internal sealed class ReadContext(string origin, string kind, ObjectName name, StringPool pool, long received = 0)
{
    private const int MappedPrefixLength = 96; // ::ffff:0:0/96

    private readonly List<ObjectProblem> _problems = [];

    public ObjectName Name => name;

    /// <summary>When the bytes were here.</summary>
    public long Received => received;

    public ImmutableArray<ObjectProblem> Problems => [.. _problems];

    public void Report(string field, string reason, ProblemEffect effect = ProblemEffect.NotServed) =>
        _problems.Add(new ObjectProblem(origin, kind, name, field, reason, effect));

    public KubernetesObject Good(object value) => new(kind, name, ReadOutcome.Good) { Value = value, Problems = Problems };

    public KubernetesObject Ignored() => new(kind, name, ReadOutcome.Ignored) { Problems = Problems };

    public KubernetesObject Bad() => new(kind, name, ReadOutcome.Bad) { Problems = Problems };

    /// <summary>The text of a field; empty if it is absent. Equal texts are one string.</summary>
    public string Shared(JsonElement parent, string field) => parent.TryText(field, out string? text) ? pool.Share(text) : "";

    /// <summary>A port number.</summary>
    /// <returns>False if it is not one; then it was reported.</returns>
    public bool TryPort(JsonElement field, string path, out ushort port)
    {
        port = 0;
        if (field.ValueKind == JsonValueKind.Number && field.TryGetUInt16(out port) && port != 0)
        {
            return true;
        }

        Report(path, $"{field.Shown()} is not a port number from 1 to 65535; the port is skipped");
        return false;
    }

    /// <summary>A protocol name; TCP if the field is absent, as the API server fills in.</summary>
    /// <returns>False if it is unknown; then it was reported.</returns>
    public bool TryProtocol(JsonElement parent, string path, out IpProtocol protocol)
    {
        bool isSet = parent.TryField("protocol", out JsonElement field);
        protocol = !isSet ? IpProtocol.Tcp : field.ValueKind != JsonValueKind.String ? IpProtocol.Any : field.GetString() switch
        {
            "TCP" => IpProtocol.Tcp,
            "UDP" => IpProtocol.Udp,
            "SCTP" => IpProtocol.Sctp,
            _ => IpProtocol.Any,
        };

        if (protocol != IpProtocol.Any)
        {
            return true;
        }

        Report(path + ".protocol", $"{field.Shown()} is not TCP, UDP or SCTP; the port is skipped");
        return false;
    }

    /// <summary>An address that packets can be sent to.</summary>
    /// <returns>False if it is not one; then it was reported.</returns>
    public bool TryAddress(JsonElement field, string path, out IpAddr address)
    {
        address = default;
        string? text = field.ValueKind == JsonValueKind.String ? field.GetString() : null;
        if (!TryParse(text, out address))
        {
            Report(path, $"{field.Shown()} is not an IP address; it is skipped");
            return false;
        }

        if (IsSpecial(address))
        {
            Report(path, $"{text} is unspecified, loopback, link-local or multicast; it is skipped");
            return false;
        }

        return true;
    }

    /// <summary>An address block; blanks around it do not count (R27).</summary>
    /// <returns>False if it is not one; then it was reported.</returns>
    public bool TryPrefix(JsonElement field, string path, out IpPrefix prefix)
    {
        string? text = field.ValueKind == JsonValueKind.String ? field.GetString() : null;
        string[] parts = text?.Trim().Split('/') ?? [];
        if (parts.Length == 2 && TryParse(parts[0], out IpAddr address)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length))
        {
            // A block of IPv4-mapped addresses counts from the first of their 128 bits.
            length -= address.IsIpv4 && parts[0].Contains(':', StringComparison.Ordinal) ? MappedPrefixLength : 0;
            if (length >= 0 && length <= address.BitLength)
            {
                prefix = new IpPrefix(address, length);
                return true;
            }
        }

        prefix = default;
        Report(path, $"{field.Shown()} is not an address block; it is skipped");
        return false;
    }

    /// <summary>As kube-proxy reads them: an IPv4 number may have leading zeros, and is decimal all the same; an IPv4-mapped address
    /// is the IPv4 address. Current API servers refuse both, older objects may still have them.</summary>
    private static bool TryParse(string? text, out IpAddr address)
    {
        if (IpAddr.TryParse(text, out address))
        {
            return true;
        }

        string[] parts = text?.Split('.') ?? [];
        if (parts.Length != 4)
        {
            return false;
        }

        uint number = 0;
        foreach (string part in parts)
        {
            if (!byte.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out byte octet))
            {
                return false;
            }

            number = (number << 8) | octet;
        }

        address = IpAddr.FromIpv4(number);
        return true;
    }

    private static bool IsSpecial(IpAddr address) =>
        address.IsIpv4
            ? address.Ipv4 >> 24 is 0 or 127 || address.Ipv4 >> 28 >= 14 || address.Ipv4 >> 16 == 0xA9FE
            : address.High >> 56 == 0xFF || address.High >> 54 == 0x3FA || (address.High == 0 && address.Low <= 1);
}
