using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane;

/// <summary>An IPv4 or IPv6 address as a 16-byte value: IPv4 in its IPv4-mapped form (RFC 4291, section 2.5.5.2).</summary>
/// <remarks>Numbers are in host order; <see cref="WriteTo"/> and the readers are the border to network order.</remarks>
public readonly struct IpAddr : IEquatable<IpAddr>, IComparable<IpAddr>
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000;

    private IpAddr(ulong high, ulong low)
    {
        High = high;
        Low = low;
    }

    /// <summary>The first eight bytes as a number; 0 for IPv4.</summary>
    public ulong High { get; }

    /// <summary>The last eight bytes as a number; for IPv4 0x0000FFFF in its upper half.</summary>
    public ulong Low { get; }

    /// <summary>True for an IPv4 address. The default value (::) is IPv6.</summary>
    public bool IsIpv4 => High == 0 && Low >> 32 == 0xFFFF;

    /// <summary>The four bytes of an IPv4 address as a number; meaningless for IPv6.</summary>
    public uint Ipv4 => (uint)Low;

    /// <summary>Link-local (169.254/16, fe80::/10), multicast (224/4, ff00::/8) or the broadcast address: no router passes it on.</summary>
    public bool IsLinkLocalOrMulticast => IsIpv4
        ? Ipv4 >> 16 == 0xA9FE || Ipv4 >> 28 == 0xE || Ipv4 == uint.MaxValue
        : High >> 54 == 0x3FA || High >> 56 == 0xFF;

    /// <summary>127.0.0.0/8 or ::1.</summary>
    public bool IsLoopback => IsIpv4 ? Ipv4 >> 24 == 127 : this is { High: 0, Low: 1 };

    /// <summary>32 or 128.</summary>
    public int BitLength => IsIpv4 ? 32 : 128;

    /// <summary>4 or 16.</summary>
    public int ByteLength => IsIpv4 ? 4 : 16;

    /// <summary>An IPv4 address from its number in host order: 0x0A000001 is 10.0.0.1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static IpAddr FromIpv4(uint address) => new(0, MappedPrefix | address);

    /// <summary>0.0.0.0 or ::.</summary>
    public static IpAddr Unspecified(bool isIpv4) => isIpv4 ? FromIpv4(0) : default;

    /// <summary>An address from two numbers in host order.</summary>
    public static IpAddr FromIpv6(ulong high, ulong low) => new(high, low);

    /// <summary>Reads four bytes in network order.</summary>
    public static IpAddr ReadIpv4(ReadOnlySpan<byte> bytes) => FromIpv4(BinaryPrimitives.ReadUInt32BigEndian(bytes));

    /// <summary>Reads sixteen bytes in network order.</summary>
    public static IpAddr ReadIpv6(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>Writes 4 or 16 bytes in network order and returns how many.</summary>
    public int WriteTo(Span<byte> bytes)
    {
        if (IsIpv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, Ipv4);
            return 4;
        }

        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Low);
        return 16;
    }

    /// <summary>Parses dotted decimal or RFC 4291 text. Zone ids and leading zeros are refused.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out IpAddr address)
    {
        address = default;
        if (text is null || text.Contains('%', StringComparison.Ordinal) || !IPAddress.TryParse(text, out IPAddress? parsed))
        {
            return false;
        }

        if (parsed.AddressFamily == AddressFamily.InterNetwork)
        {
            // IPAddress also takes "10.1" and "010.0.0.1"; Kubernetes does not.
            address = ReadIpv4(parsed.GetAddressBytes());
            return string.Equals(parsed.ToString(), text, StringComparison.Ordinal);
        }

        address = ReadIpv6(parsed.GetAddressBytes());
        return true;
    }

    /// <summary>Parses or throws <see cref="FormatException"/>: for literals in code and tests.</summary>
    public static IpAddr Parse(string text) =>
        TryParse(text, out IpAddr address) ? address : throw new FormatException($"'{text}' is not an IP address.");

    /// <summary>The address with all bits after the first <paramref name="prefixLength"/> cleared.</summary>
    /// <param name="prefixLength">Bits of this address's own family: 0 to 32 or 0 to 128.</param>
    public IpAddr Mask(int prefixLength)
    {
        int bits = IsIpv4 ? prefixLength + 96 : prefixLength;
        ulong high = bits >= 64 ? ulong.MaxValue : bits == 0 ? 0 : ulong.MaxValue << (64 - bits);
        ulong low = bits >= 128 ? ulong.MaxValue : bits <= 64 ? 0 : ulong.MaxValue << (128 - bits);
        return new IpAddr(High & high, Low & low);
    }

    /// <inheritdoc/>
    public bool Equals(IpAddr other) => High == other.High && Low == other.Low;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is IpAddr other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(High, Low);

    /// <inheritdoc/>
    public int CompareTo(IpAddr other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    /// <summary>Dotted decimal for IPv4, RFC 5952 for IPv6.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[16];
        return new IPAddress(bytes[..WriteTo(bytes)]).ToString();
    }

    /// <summary>The address and a port as people write it: <c>10.0.0.1:80</c>, <c>[fd00::1]:80</c>.</summary>
    public string WithPort(int port) => IsIpv4 ? $"{this}:{port}" : $"[{this}]:{port}";

    /// <summary>Equal in all 128 bits.</summary>
    public static bool operator ==(IpAddr left, IpAddr right) => left.Equals(right);

    /// <summary>Not <c>==</c>.</summary>
    public static bool operator !=(IpAddr left, IpAddr right) => !left.Equals(right);

    /// <summary>By number.</summary>
    public static bool operator <(IpAddr left, IpAddr right) => left.CompareTo(right) < 0;

    /// <summary>By number.</summary>
    public static bool operator >(IpAddr left, IpAddr right) => left.CompareTo(right) > 0;

    /// <summary>By number.</summary>
    public static bool operator <=(IpAddr left, IpAddr right) => left.CompareTo(right) <= 0;

    /// <summary>By number.</summary>
    public static bool operator >=(IpAddr left, IpAddr right) => left.CompareTo(right) >= 0;
}
