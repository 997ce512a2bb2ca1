using System.Globalization;
using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Reverse path filtering lets through what the dataplane emits.</summary>
/// <remarks>The effective value is the larger one of <c>all</c> and the device's (kernel, IN_DEV_MAXCONF), and with 1 a source that
/// is not routed back over the device is dropped; with 2 the device needs an IPv4 address.</remarks>
internal sealed class ReversePathCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "reverse path filter";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        if (RoutingSnapshot.Device(node.Device) is not { } device)
        {
            return Finding.NotApplicable($"there is no device {node.Device} yet");
        }

        int all = Setting("all");
        int own = Setting(node.Device);
        string text = $"rp_filter is {own} on {node.Device} and {all} on all; {KernelCounters.Read("TcpExt", "IPReversePathFilter")} packets were dropped by it on this node";
        if (Math.Max(all, own) == 1)
        {
            return Finding.Failed(text, "everything that the dataplane emits is dropped", $"set net.ipv4.conf.{node.Device}.rp_filter=2, as the agent does");
        }

        if (!device.Addresses.Contains(SteeringPlan.DeviceAddress))
        {
            return Finding.Failed($"{text}; {node.Device} has lost its address {SteeringPlan.DeviceAddress}",
                "with rp_filter 2 and no address everything that the dataplane emits is dropped", "an agent that runs puts it back: start it");
        }

        return Finding.Ok(text);
    }

    private static int Setting(string device) =>
        int.Parse(Sysctls.Read($"net/ipv4/conf/{device}/rp_filter") ?? "0", CultureInfo.InvariantCulture);
}
