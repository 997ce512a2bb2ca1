using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;

return await CommandLine.RunAsync(args, Terminal.OfProcess());
