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

internal readonly struct SourceRangeLayout4 : IMapLayout<SourceRangeKey, byte, SourceRangeKey4, SourceRangeVerdict>
{
    public static SourceRangeKey4 PackKey(in SourceRangeKey key) => new()
    {
        ServicePortId = key.ServicePortId,
        PrefixLength = (uint)key.Sources.Length,
        Address = new Ipv4Bytes(key.Sources.Address),
    };

    public static SourceRangeKey UnpackKey(in SourceRangeKey4 key) =>
        new(key.ServicePortId, new IpPrefix(key.Address.ToAddress(), (int)Math.Min(key.PrefixLength, 32)));

    public static SourceRangeVerdict PackEntry(in byte entry) => SourceRangeVerdict.Allow;

    public static byte UnpackEntry(in SourceRangeVerdict value) => 0;
}

internal readonly struct SourceRangeLayout6 : IMapLayout<SourceRangeKey, byte, SourceRangeKey6, SourceRangeVerdict>
{
    public static SourceRangeKey6 PackKey(in SourceRangeKey key) => new()
    {
        ServicePortId = key.ServicePortId,
        PrefixLength = (uint)key.Sources.Length,
        Address = new Ipv6Bytes(key.Sources.Address),
    };

    public static SourceRangeKey UnpackKey(in SourceRangeKey6 key) =>
        new(key.ServicePortId, new IpPrefix(key.Address.ToAddress(), (int)Math.Min(key.PrefixLength, 128)));

    public static SourceRangeVerdict PackEntry(in byte entry) => SourceRangeVerdict.Allow;

    public static byte UnpackEntry(in SourceRangeVerdict value) => 0;
}
