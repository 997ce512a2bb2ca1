namespace ClusterLb.Dataplane.Maps;

/// <summary>DIR/flows: the files that the dataplane writes. Nobody but the agent's user looks into it.</summary>
internal static class FlowDirectory
{
    private const string Name = "flows";

    public static string PathIn(string stateDirectory) => Path.Combine(stateDirectory, Name);

    /// <summary>Makes the directory where it is missing.</summary>
    /// <returns>Its path.</returns>
    public static string Make(string stateDirectory) => Directory.CreateDirectory(
        PathIn(stateDirectory), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
}
