using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Value of service_ports.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
internal struct ServicePortValue
{
    public ulong Revision;
}

/// <summary>Value of service_names: a length and UTF-8. Namespace, name and port name of Kubernetes take at most 191 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 248)]
internal struct ServiceNameValue
{
    public const int MaxLength = 247;

    public byte Length;
    public NameText Text;

    [InlineArray(MaxLength)]
    public struct NameText
    {
        private byte _first;
    }
}

internal readonly struct ServicePortLayout : IMapLayout<uint, ServicePortEntry, uint, ServicePortValue>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static ServicePortValue PackEntry(in ServicePortEntry entry) => new() { Revision = entry.Revision };

    public static ServicePortEntry UnpackEntry(in ServicePortValue value) => new(value.Revision);
}

internal readonly struct ServiceNameLayout : IMapLayout<uint, string, uint, ServiceNameValue>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    /// <summary>A longer name is cut at a character: it is for people only.</summary>
    public static ServiceNameValue PackEntry(in string entry)
    {
        var value = default(ServiceNameValue);
        Utf8.FromUtf16(entry, value.Text, out _, out int length);
        value.Length = (byte)length;
        return value;
    }

    public static string UnpackEntry(in ServiceNameValue value)
    {
        ReadOnlySpan<byte> text = value.Text;
        return Encoding.UTF8.GetString(text[..Math.Min(value.Length, text.Length)]);
    }
}
