using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;

// The dataplane is started again after a crash while packets wait in its queues: it does not go through the command line.
return DataplaneCommand.IsStart(args, out int controlFd, out int leaseFd)
    ? DataplaneCommand.Run(controlFd, leaseFd)
    : await CommandLine.RunAsync(args, Terminal.OfProcess());
