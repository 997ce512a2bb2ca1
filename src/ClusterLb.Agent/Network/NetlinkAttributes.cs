using System.Buffers.Binary;

namespace ClusterLb.Agent.Network;

/// <summary>Finds an attribute in a netlink message: struct nlattr (length u16, type u16) and its value, aligned to 4 bytes.</summary>
internal static class NetlinkAttributes
{
    private const int HeaderLength = 4;
    private const ushort TypeMask = 0x3FFF; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

    /// <summary>The value of the first attribute of a type; empty if there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> attributes, ushort type)
    {
        while (attributes.Length >= HeaderLength)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(attributes);
            if (length < HeaderLength || length > attributes.Length)
            {
                return [];
            }

            if ((BinaryPrimitives.ReadUInt16LittleEndian(attributes[2..]) & TypeMask) == type)
            {
                return attributes[HeaderLength..length];
            }

            attributes = attributes[Math.Min(attributes.Length, (length + 3) & ~3)..];
        }

        return [];
    }
}
