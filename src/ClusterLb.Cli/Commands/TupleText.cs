using System.Globalization;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Cli.Commands;

/// <summary>Reads a connection as people type it: <c>tcp 10.244.1.2:40000 10.96.0.10:80</c>.</summary>
internal static class TupleText
{
    /// <summary>A client's port where none is typed: it makes no difference to a new connection.</summary>
    private const ushort AnyClientPort = 40_000;

    /// <summary>Reads the three words.</summary>
    /// <exception cref="CommandException">Something is not what it should be.</exception>
    public static FlowTuple Parse(string protocol, string source, string destination)
    {
        (IpAddr from, ushort? fromPort) = ParseEnd(source);
        (IpAddr to, ushort? toPort) = ParseEnd(destination);
        if (from.IsIpv4 != to.IsIpv4)
        {
            throw NotUnderstood($"{source} to {destination}", "one is IPv4, the other IPv6");
        }

        IpProtocol parsed = ParseProtocol(protocol, from.IsIpv4);
        if (parsed is IpProtocol.Icmp or IpProtocol.IcmpV6)
        {
            ushort identifier = fromPort ?? AnyClientPort;
            return new FlowTuple(from, to, identifier, identifier, parsed);
        }

        return new FlowTuple(from, to, fromPort ?? AnyClientPort, toPort ?? throw NotUnderstood(
            $"a connection to {destination}", "the port is missing", "write ADDRESS:PORT, for IPv6 [ADDRESS]:PORT"), parsed);
    }

    private static IpProtocol ParseProtocol(string text, bool isIpv4) => text.ToLowerInvariant() switch
    {
        "tcp" => IpProtocol.Tcp,
        "udp" => IpProtocol.Udp,
        "sctp" => IpProtocol.Sctp,
        "icmp" or "icmpv6" => isIpv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6,
        _ => throw NotUnderstood($"protocol '{text}'", "it is not tcp, udp, sctp or icmp"),
    };

    private static (IpAddr Address, ushort? Port) ParseEnd(string text)
    {
        if (IpAddr.TryParse(text.Trim('[', ']'), out IpAddr bare))
        {
            return (bare, null);
        }

        int colon = text.LastIndexOf(':');
        string address = colon < 0 ? text : text[..colon];
        bool isBracketed = address.StartsWith('[') && address.EndsWith(']');
        if (colon < 0 || !IpAddr.TryParse(isBracketed ? address[1..^1] : address, out IpAddr parsed) || parsed.IsIpv4 == isBracketed)
        {
            throw NotUnderstood($"'{text}'", "it is not an IP address with a port", "write 10.96.0.10:80 or [fd00:96::10]:80");
        }

        return ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            ? (parsed, port)
            : throw NotUnderstood($"'{text}'", "the port is not a number from 0 to 65535");
    }

    private static CommandException NotUnderstood(string what, string why, string remedy = "") =>
        new($"cannot explain {what}", why, remedy) { IsUsage = true };
}
