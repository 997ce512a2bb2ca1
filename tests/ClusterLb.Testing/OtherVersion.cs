using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Testing;

/// <summary>Files of maps and flow tables as another version of the program would have written them.</summary>
public static class OtherVersion
{
    /// <summary>No version has this one.</summary>
    public const uint UnknownLayout = 9;

    /// <summary>Gives a file another layout number, with a header that is whole.</summary>
    public static void SetLayout(string path, uint layout = UnknownLayout)
    {
        using SafeFileHandle file = File.OpenHandle(path, access: FileAccess.ReadWrite, share: FileShare.ReadWrite);
        MapHeader header = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<MapHeader>(ref header));
        RandomAccess.Read(file, bytes, 0);
        header.LayoutVersion = layout;
        header.Checksum = MapHeader.ChecksumOf(in header);
        RandomAccess.Write(file, bytes, 0);
    }
}
