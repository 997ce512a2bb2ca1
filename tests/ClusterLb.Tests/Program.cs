using ClusterLb.Tests.Dataplane.Maps;

// Not the way to run the tests (that is `dotnet test`): the second process of tests that need one.
return args switch
{
    ["map-writer", string directory] => MapWriterProcess.Run(directory),
    ["map-reader", string directory, string kind, string pace] => MapReaderProcess.Run(directory, kind, pace),
    _ => 2,
};
