using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of serving.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
internal struct ServingFileKey
{
    public uint ServicePortId;
    public uint BackendId;
}

/// <summary>Key of eligible.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal struct EligibleFileKey
{
    public uint RevNatId;
    public uint BackendId;
    public uint Scope;
}

internal readonly struct ServingLayout : IMapLayout<ServingKey, byte, ServingFileKey, NoValue>
{
    public static ServingFileKey PackKey(in ServingKey key) => new() { ServicePortId = key.ServicePortId, BackendId = key.BackendId };

    public static ServingKey UnpackKey(in ServingFileKey key) => new(key.ServicePortId, key.BackendId);

    public static NoValue PackEntry(in byte entry) => default;

    public static byte UnpackEntry(in NoValue value) => 0;
}

internal readonly struct EligibleLayout : IMapLayout<EligibleKey, byte, EligibleFileKey, NoValue>
{
    public static EligibleFileKey PackKey(in EligibleKey key) =>
        new() { RevNatId = key.RevNatId, BackendId = key.BackendId, Scope = (uint)key.Scope };

    public static EligibleKey UnpackKey(in EligibleFileKey key) => new(key.RevNatId, (LookupScope)key.Scope, key.BackendId);

    public static NoValue PackEntry(in byte entry) => default;

    public static byte UnpackEntry(in NoValue value) => 0;
}
