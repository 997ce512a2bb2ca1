using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.Tests.Testing;

/// <summary>A test run that is killed: starts a process that is bound to it, says its id, waits.</summary>
internal static class BoundProcessOwner
{
    public static int Run(string log)
    {
        BoundProcess process = BoundProcess.StartAsync(log, "sleep", "60").GetAwaiter().GetResult();
        Console.WriteLine(process.Id);
        Thread.Sleep(Timeout.Infinite);
        return 0;
    }
}
