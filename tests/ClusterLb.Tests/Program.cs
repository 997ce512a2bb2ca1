using ClusterLb.Tests.Dataplane.Conntrack;
using ClusterLb.Tests.Dataplane.Maps;
using ClusterLb.Tests.Testing;

// Not the way to run the tests (that is `dotnet test`): the second process of tests that need one.
return args switch
{
    ["map-writer", string directory] => MapWriterProcess.Run(directory),
    ["map-reader", string directory, string kind, string pace] => MapReaderProcess.Run(directory, kind, pace),
    ["flow-writer", string stateDirectory, string seed] => FlowWriter.Run(stateDirectory, int.Parse(seed)),
    ["bound-process", string log] => BoundProcessOwner.Run(log),
    _ => 2,
};
