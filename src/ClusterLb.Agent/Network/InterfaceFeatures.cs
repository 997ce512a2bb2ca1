using System.Buffers.Binary;
using System.Text;

namespace ClusterLb.Agent.Network;

/// <summary>Offloads of an interface under the names that <c>ethtool -k</c> has for them.</summary>
internal static class InterfaceFeatures
{
    private const int NameLength = 32; // ETH_GSTRING_LEN
    private const int BlockLength = 16; // struct ethtool_get_features_block: available, requested, active, never_changed
    private const int ActiveOffset = 8;

    /// <summary>The features that are on; null if there is no such interface, or it does not tell.</summary>
    public static IReadOnlySet<string>? ReadActive(string device)
    {
        if (EthtoolInterop.FeatureCount(device) is not (> 0 and int count)
            || EthtoolInterop.FeatureNames(device, count * NameLength) is not { } names
            || EthtoolInterop.Features(device, (count + 31) / 32 * BlockLength) is not { } blocks)
        {
            return null;
        }

        var active = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            uint word = BinaryPrimitives.ReadUInt32LittleEndian(blocks.AsSpan((i / 32 * BlockLength) + ActiveOffset));
            if ((word >> (i % 32) & 1) != 0)
            {
                active.Add(Encoding.ASCII.GetString(names.AsSpan(i * NameLength, NameLength)).TrimEnd('\0'));
            }
        }

        return active;
    }
}
