using System.Net;
using ClusterLb.Dataplane;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Echo;

/// <summary>
/// The background process of a lab (`clusterlb lab echo --lab NAME`): it serves for all pods, each in its own namespace,
/// and takes the lab down when the lab's owner is gone, even if that was killed.
/// </summary>
public static class LabKeeper
{
    private static readonly TimeSpan LookAfterOwner = TimeSpan.FromMilliseconds(500);

    /// <summary>Serves until it is killed with the rest of the lab, or the owner is gone.</summary>
    /// <returns>The exit status.</returns>
    public static async Task<int> RunAsync(string lab, CancellationToken cancel)
    {
        LabCluster cluster = LabCluster.Open(lab);
        foreach (LabPod pod in cluster.Topology.Pods)
        {
            new EchoServer(pod.Name, pod.Node.Name, [Address(pod.Ipv4), Address(pod.Ipv6)], cluster.Namespace(pod.Name).OpenSocket)
                .Start(); // until the process ends
        }

        File.WriteAllText(cluster.ReadyFile, "");
        while (LabState.Read(cluster.StateFile) is not { IsWanted: false })
        {
            await Task.Delay(LookAfterOwner, cancel);
        }

        LabCluster.Down(lab);
        return 0;
    }

    private static IPAddress Address(IpAddr address) => IPAddress.Parse(address.ToString());
}
