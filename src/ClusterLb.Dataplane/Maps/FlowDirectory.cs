namespace ClusterLb.Dataplane.Maps;

/// <summary>DIR/flows: the files that the dataplane writes. Nobody but the agent's user looks into it.</summary>
public static class FlowDirectory
{
    /// <summary>Of the directory, in the state directory.</summary>
    public const string Name = "flows";

    /// <summary>Where it is, whether or not it is there.</summary>
    public static string PathIn(string stateDirectory) => Path.Combine(stateDirectory, Name);

    /// <summary>Makes the directory where it is missing.</summary>
    /// <returns>Its path.</returns>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not make it.</exception>
    public static string Make(string stateDirectory) => Directory.CreateDirectory(
        PathIn(stateDirectory), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
}
