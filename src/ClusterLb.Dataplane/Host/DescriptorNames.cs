using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Host;

/// <summary>What descriptors are called when they are handed to a dataplane: files as in the state directory, queues by number.</summary>
public static class DescriptorNames
{
    /// <summary>Before the name of a load-balancing map.</summary>
    public const string MapsPrefix = SharedLbMaps.DirectoryName + "/";

    /// <summary>Before the name of a file that the dataplane writes.</summary>
    public const string FlowsPrefix = FlowDirectory.Name + "/";

    /// <summary>Before the number of a queue, from 0.</summary>
    public const string QueuePrefix = "queue/";

    /// <summary>Of as many queues, in order.</summary>
    public static IEnumerable<string> Queues(int count) => Enumerable.Range(0, count).Select(number => $"{QueuePrefix}{number}");
}
