using System.Globalization;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

public sealed partial class NodeSteering
{
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal); // settings that the kernel did not let us write, told once

    /// <summary>Settings of the kernel's conntrack that kube-proxy owns. Traffic goes on without them: what may not be written is a warning.</summary>
    private void RepairConntrack(KernelConntrackOptions conntrack)
    {
        foreach ((string name, string wanted) in conntrack.Settings())
        {
            Unless(name, () => RepairSetting(name, wanted));
        }

        int size = conntrack.WantedTableSize(Environment.ProcessorCount);
        Enlarge(KernelConntrackOptions.TableSize, size);
        Enlarge(KernelConntrackOptions.Buckets, size / KernelConntrackOptions.FlowsPerBucket);
    }

    // Never made smaller: flows of others are in the table too. Other namespaces than the machine's first may only read it.
    private void Enlarge(string name, int wanted)
    {
        if (!int.TryParse(Sysctls.Read(name), CultureInfo.InvariantCulture, out int present) || present >= wanted)
        {
            return;
        }

        if (Sysctls.IsWritable(name))
        {
            Unless(name, () => RepairSetting(name, wanted.ToString(CultureInfo.InvariantCulture)));
        }
        else if (_refused.Add(name))
        {
            _log.LogWarning("The kernel's flow table is smaller than configured, and only the machine's first network namespace may enlarge it {Setting} {Present} {Wanted}",
                name, present, wanted);
        }
    }

    private void Unless(string name, Action write)
    {
        try
        {
            write();
        }
        catch (SteeringException e) when (e.InnerException is not null)
        {
            if (_refused.Add(name))
            {
                _log.LogWarning("A setting of the kernel's flow table cannot be written and stays as it is {Setting} {Reason}", name, e.InnerException.Message);
            }
        }
    }
}
