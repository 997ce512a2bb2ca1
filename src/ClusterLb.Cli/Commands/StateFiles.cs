using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary>Opens what a state directory holds, for reading, whether or not an agent runs.</summary>
internal static class StateFiles
{
    private const string NoAgent = "no agent ever ran with this state directory";
    private const string OtherDirectory = "start the agent first, or name its directory with --state-dir";

    /// <summary>The load-balancing maps.</summary>
    /// <exception cref="CommandException">There are none, or they cannot be read.</exception>
    public static SharedLbMaps OpenMaps(string stateDir) =>
        Open($"cannot read the maps of {stateDir}", () => SharedLbMaps.OpenForReading(stateDir));

    /// <summary>All flows, in the order of client, frontend and port.</summary>
    /// <exception cref="CommandException">There are no flow tables, or they cannot be read.</exception>
    public static IReadOnlyList<FlowSnapshot> ReadFlows(string stateDir) => ReadTables<FlowSnapshot>(stateDir, () =>
    [
        .. FlowTables.Read(stateDir)
            .OrderBy(flow => flow.Original.Source).ThenBy(flow => flow.Original.Destination)
            .ThenBy(flow => flow.Original.SourcePort),
    ]);

    /// <summary>All clients that are pinned, in the order of service port and client.</summary>
    /// <exception cref="CommandException">There are no flow tables, or they cannot be read.</exception>
    public static IReadOnlyList<AffinitySnapshot> ReadAffinity(string stateDir) => ReadTables<AffinitySnapshot>(stateDir, () =>
        [.. FlowTables.ReadAffinity(stateDir).OrderBy(pin => pin.ServicePortId).ThenBy(pin => pin.Client)]);

    private static IReadOnlyList<T> ReadTables<T>(string stateDir, Func<IReadOnlyList<T>> read)
    {
        string what = $"cannot read the flow tables of {stateDir}";
        return !Directory.Exists(stateDir) ? throw new CommandException(what, "there is no such directory", OtherDirectory)
            : !Directory.Exists(Path.Combine(stateDir, SharedLbMaps.DirectoryName)) ? throw new CommandException(what, NoAgent, OtherDirectory)
            : Open(what, read);
    }

    /// <summary>Runs <paramref name="open"/> and tells its usual failures as one line.</summary>
    public static T Open<T>(string what, Func<T> open)
    {
        try
        {
            return open();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CommandException(what, NoAgent, OtherDirectory);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or MapFileException { IsAccessDenied: true })
        {
            throw new CommandException(what, "this user may not read them", "run as root");
        }
        catch (MapFileException e)
        {
            throw new CommandException(what, e.Message);
        }
    }
}
