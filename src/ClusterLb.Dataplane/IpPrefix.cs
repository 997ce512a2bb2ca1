using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace ClusterLb.Dataplane;

/// <summary>A CIDR block: an address with its host bits cleared, and a length in bits of its family.</summary>
public readonly record struct IpPrefix : IComparable<IpPrefix>
{
    /// <summary>Clears the host bits of <paramref name="address"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length does not fit the family.</exception>
    public IpPrefix(IpAddr address, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, address.BitLength);
        Address = address.Mask(length);
        Length = length;
    }

    /// <summary>The first address.</summary>
    public IpAddr Address { get; }

    /// <summary>Bits: 0 to 32 for IPv4, 0 to 128 for IPv6.</summary>
    public int Length { get; }

    /// <summary>True if <paramref name="address"/> is of this family and inside.</summary>
    public bool Contains(IpAddr address) => address.IsIpv4 == Address.IsIpv4 && address.Mask(Length) == Address;

    /// <summary>Parses <c>address/length</c>; blanks around it are trimmed; host bits may be set.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out IpPrefix prefix)
    {
        prefix = default;
        string[] parts = (text ?? "").Trim().Split('/');
        if (parts.Length != 2 || !IpAddr.TryParse(parts[0], out IpAddr address)
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length)
            || length > address.BitLength)
        {
            return false;
        }

        prefix = new IpPrefix(address, length);
        return true;
    }

    /// <summary>Parses or throws <see cref="FormatException"/>: for literals in code and tests.</summary>
    public static IpPrefix Parse(string text) =>
        TryParse(text, out IpPrefix prefix) ? prefix : throw new FormatException($"'{text}' is not an address block (address/length).");

    /// <summary>The block of one address.</summary>
    public static IpPrefix Host(IpAddr address) => new(address, address.BitLength);

    /// <inheritdoc/>
    public int CompareTo(IpPrefix other) =>
        Address.CompareTo(other.Address) is var byAddress and not 0 ? byAddress : Length.CompareTo(other.Length);

    /// <inheritdoc/>
    public override string ToString() => $"{Address}/{Length}";

    /// <summary>By address, then by length.</summary>
    public static bool operator <(IpPrefix left, IpPrefix right) => left.CompareTo(right) < 0;

    /// <summary>By address, then by length.</summary>
    public static bool operator >(IpPrefix left, IpPrefix right) => left.CompareTo(right) > 0;

    /// <summary>By address, then by length.</summary>
    public static bool operator <=(IpPrefix left, IpPrefix right) => left.CompareTo(right) <= 0;

    /// <summary>By address, then by length.</summary>
    public static bool operator >=(IpPrefix left, IpPrefix right) => left.CompareTo(right) >= 0;
}
