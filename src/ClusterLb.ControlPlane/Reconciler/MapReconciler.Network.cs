using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>The node and the networks around it.</summary>
public sealed partial class MapReconciler
{
    private const uint NodeKey = 0;

    /// <summary>Makes the maps say what the image says; <see cref="NodeFlags.Synced"/> stays as it is.</summary>
    public void Sync(NodeImage image)
    {
        foreach ((IpPrefix block, NetworkFlags flags) in image.Networks)
        {
            _writer.Put(_maps.Networks, block, flags);
        }

        RemoveWhere(_maps.Networks, (block, _) => !image.Networks.ContainsKey(block));
        NodeFlags synced = CurrentNode().Flags & NodeFlags.Synced;
        _writer.Put(_maps.Node, NodeKey, image.Node with { Flags = image.Node.Flags | synced });
    }

    /// <summary>Says to the dataplane that the maps tell the whole truth: a miss is a miss.</summary>
    public void MarkSynced()
    {
        NodeEntry node = CurrentNode();
        _writer.Put(_maps.Node, NodeKey, node with { Flags = node.Flags | NodeFlags.Synced });
    }

    private NodeEntry CurrentNode() => _maps.Node.TryLookup(NodeKey, out NodeEntry node) ? node : NodeEntry.Default;
}
