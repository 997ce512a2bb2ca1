using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary>Opens what a state directory holds, for reading, whether or not an agent runs.</summary>
internal static class StateFiles
{
    /// <summary>The load-balancing maps.</summary>
    /// <exception cref="CommandException">There are none, or they cannot be read.</exception>
    public static LbMaps OpenMaps(string stateDir) =>
        throw new CommandException($"cannot read the maps of {stateDir}", "they are not part of this build");
}
