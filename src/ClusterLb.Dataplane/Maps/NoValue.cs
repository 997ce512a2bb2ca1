using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The value of a map that is a set: no bytes in the file.</summary>
[StructLayout(LayoutKind.Sequential, Size = 1)]
public readonly struct NoValue;
