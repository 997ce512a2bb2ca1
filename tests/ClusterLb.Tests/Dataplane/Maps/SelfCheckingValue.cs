using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A value of which every word follows from its key and version: any mixture of two values is noticed.</summary>
[StructLayout(LayoutKind.Sequential, Size = 48)]
internal struct SelfCheckingValue
{
    public ulong Version;
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;
    private ulong _e;

    public static SelfCheckingValue For(ulong key, ulong version) => new()
    {
        Version = version,
        _a = Mix(key, version, 1),
        _b = Mix(key, version, 2),
        _c = Mix(key, version, 3),
        _d = Mix(key, version, 4),
        _e = Mix(key, version, 5),
    };

    public readonly bool IsOf(ulong key) =>
        _a == Mix(key, Version, 1) && _b == Mix(key, Version, 2) && _c == Mix(key, Version, 3)
        && _d == Mix(key, Version, 4) && _e == Mix(key, Version, 5);

    /// <summary>A number without structure that follows from its inputs.</summary>
    public static ulong Mix(ulong a, ulong b, ulong c) => SeededHash.Of(a, b, c);
}
