using ClusterLb.Dataplane.Host;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>An answer of the dataplane, with what came along.</summary>
/// <param name="Message">The answer.</param>
/// <param name="Descriptors">Owned by whoever has this.</param>
internal sealed record DataplaneReply(ControlMessage Message, SafeFileHandle[] Descriptors);
