using ClusterLb.Tests.Dataplane.Conntrack;
using ClusterLb.Tests.Dataplane.Maps;

// Not the way to run the tests (that is `dotnet test`): the second process of tests that need one.
return args switch
{
    ["map-writer", string directory] => MapWriterProcess.Run(directory),
    ["map-reader", string directory, string kind, string pace] => MapReaderProcess.Run(directory, kind, pace),
    ["flow-writer", string stateDirectory, string seed] => FlowWriter.Run(stateDirectory, int.Parse(seed)),
    _ => 2,
};
