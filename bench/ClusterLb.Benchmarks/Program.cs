using BenchmarkDotNet.Running;
using ClusterLb.Benchmarks.ControlPlane;
using ClusterLb.Benchmarks.Pipeline;

return args switch
{
    ["packets-beside-changes"] => PacketsBesideChanges.Run(),
    ["changes", string directory] => ChangeWriter.Run(directory), // its other process
    _ => BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args).Any(summary => summary.HasCriticalValidationErrors) ? 1 : 0,
};
