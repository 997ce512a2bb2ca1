using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.Network;

/// <summary>SIOCETHTOOL on an interface of the calling thread's network namespace (linux/ethtool.h). Reading needs no right.</summary>
internal static unsafe partial class EthtoolInterop
{
    private const nuint SiocEthtool = 0x8946;
    private const uint GetStringSetLength = 0x37; // ETHTOOL_GSSET_INFO
    private const uint GetStrings = 0x1b; // ETHTOOL_GSTRINGS
    private const uint GetFeatures = 0x3a; // ETHTOOL_GFEATURES
    private const int FeatureSet = 4; // ETH_SS_FEATURES
    private const int MaxNameLength = 15; // IFNAMSIZ - 1
    private const int SocketDatagram = 2;
    private const int SocketCloseOnExec = 0x80000;
    private const int AddressFamilyInet = 2;

    /// <summary>Number of features that this kernel knows; 0 if the interface does not tell.</summary>
    public static int FeatureCount(string device)
    {
        byte[] request = new byte[20]; // struct ethtool_sset_info: cmd, reserved, u64 mask of sets, one count
        BinaryPrimitives.WriteUInt32LittleEndian(request, GetStringSetLength);
        BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(8), 1UL << FeatureSet);
        return Ask(device, request) ? BinaryPrimitives.ReadInt32LittleEndian(request.AsSpan(16)) : 0;
    }

    /// <summary>Their names, 32 bytes each; null if the interface does not tell.</summary>
    public static byte[]? FeatureNames(string device, int lengthBytes)
    {
        byte[] request = new byte[12 + lengthBytes]; // struct ethtool_gstrings: cmd, set, count, names
        BinaryPrimitives.WriteUInt32LittleEndian(request, GetStrings);
        BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(4), FeatureSet);
        return Ask(device, request) ? request[12..] : null;
    }

    /// <summary>Blocks of 16 bytes for 32 features each; null if the interface does not tell.</summary>
    public static byte[]? Features(string device, int lengthBytes)
    {
        byte[] request = new byte[8 + lengthBytes]; // struct ethtool_gfeatures: cmd, blocks, the blocks
        BinaryPrimitives.WriteUInt32LittleEndian(request, GetFeatures);
        BinaryPrimitives.WriteInt32LittleEndian(request.AsSpan(4), lengthBytes / 16);
        return Ask(device, request) ? request[8..] : null;
    }

    private static bool Ask(string device, byte[] request)
    {
        if (device.Length > MaxNameLength)
        {
            return false;
        }

        using var socket = new SafeFileHandle(EthtoolInterop.socket(AddressFamilyInet, SocketDatagram | SocketCloseOnExec, 0), ownsHandle: true);
        if (socket.IsInvalid)
        {
            return false;
        }

        fixed (byte* data = request)
        {
            byte* interfaceRequest = stackalloc byte[40]; // struct ifreq: a name of 16 bytes, then the pointer
            new Span<byte>(interfaceRequest, 40).Clear();
            Encoding.ASCII.GetBytes(device, new Span<byte>(interfaceRequest, MaxNameLength));
            *(byte**)(interfaceRequest + 16) = data;
            return ioctl(socket, SiocEthtool, interfaceRequest) >= 0;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(SafeFileHandle fd, nuint request, void* argument);
}
