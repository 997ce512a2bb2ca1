using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of source_ranges4: an allowed block of sources of one service port.</summary>
/// <remarks>A longest-prefix match by hash lookups, longest first, over the lengths that the header's words have
/// (<see cref="PrefixLengths"/>): few lengths are ever in use, and readers need nothing that they do not have already.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal struct SourceRangeKey4
{
    public uint ServicePortId;
    public uint PrefixLength;
    public Ipv4Bytes Address;
}

/// <summary>Key of source_ranges6.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 24)]
internal struct SourceRangeKey6
{
    public uint ServicePortId;
    public uint PrefixLength;
    public Ipv6Bytes Address;
}

/// <summary>Value of source_ranges4 and source_ranges6.</summary>
internal enum SourceRangeVerdict : uint
{
    Allow = 1,
}
