using System.CommandLine;
using ClusterLb.Cli.Commands;

var root = new RootCommand("ClusterLb: Kubernetes service load balancing in user space.") { LabCommand.Create() };
return await root.Parse(args).InvokeAsync();
