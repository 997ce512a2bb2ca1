using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.Steering;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Agent;

/// <summary>Removes ClusterLb from the node: steering, dataplane, device, state directory. Leaves the node as it was found.</summary>
public static class NodeCleanup
{
    private const string NodeCgroups = "/sys/fs/cgroup";

    /// <summary>Removes everything that belongs to this state directory. What is not there is no error.</summary>
    /// <param name="stateDirectory">DIR.</param>
    /// <param name="say">One line per thing done.</param>
    /// <param name="cancellation">Not looked at once removal has begun: half removed is worst.</param>
    /// <exception cref="AgentException">An agent runs, rights are missing, or something could not be removed.</exception>
    public static async Task RunAsync(string stateDirectory, Action<string> say, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(say);
        cancellation.ThrowIfCancellationRequested();
        AgentRecord? record = AgentRecord.Load(stateDirectory);
        using StateLease? lease = Directory.Exists(stateDirectory) ? TakeLease(stateDirectory, record) : null;
        var steering = new NodeSteering(stateDirectory, NullLogger.Instance);
        bool found = FindLeftovers(stateDirectory, steering);
        if (lease is null && !found)
        {
            say($"There is no state directory {stateDirectory}, and nothing of it in this network: nothing to remove.");
            return;
        }

        await RemoveAsync(stateDirectory, steering, NullLogger.Instance, say);
    }

    /// <summary>The same for a caller who holds the lease: an agent whose start failed.</summary>
    internal static async Task RemoveAsync(string stateDirectory, NodeSteering steering, ILogger log, Action<string> say)
    {
        try
        {
            if (steering.IsElsewhere)
            {
                throw new AgentException($"The state directory '{stateDirectory}' belongs to another network namespace. Run this inside it " +
                    "(nsenter --net=…); or, if that namespace is gone, delete the directory.");
            }

            // Routes first: without them nothing more comes to the dataplane, and clients see routes, not silence.
            bool steered = steering.RemoveRouting();
            if (steered)
            {
                say(steering.FoundDevice is null
                    ? "Removed nft table, routing rules and routes; restored kernel settings."
                    : "Removed nft table, routing rules and routes. Kernel settings stay as they are, for the record of what they were " +
                      $"before is gone; see to them yourself if it matters: {NodeSteering.SettingsOfRecord}.");
            }

            if (Directory.Exists(stateDirectory) && await DataplaneSupervisor.StopOrphanAsync(stateDirectory, log))
            {
                say("Stopped the dataplane.");
            }

            new DataplaneCgroup(NodeCgroups).Remove();
            if (steering.FoundDevice is { } device)
            {
                foreach (int pid in LostProcesses.EndDataplanes(device))
                {
                    say($"Process {pid} has a queue of {device} open and may not be ClusterLb's: it was left alone.");
                }
            }

            if (steered)
            {
                steering.RemoveDevice();
                steering.Forget();
                say("Removed the TUN device.");
            }

            if (!Directory.Exists(stateDirectory))
            {
                return;
            }

            say(StateDirectory.Remove(stateDirectory)
                ? $"Removed {stateDirectory}."
                : $"Left {stateDirectory}: there is something in it that is not ClusterLb's.");
        }
        catch (Exception e) when (e is SteeringException or DataplaneException or IOException or UnauthorizedAccessException)
        {
            throw new AgentException(e.Message, e);
        }
    }

    // Of a state directory that was removed, or whose steering.json was.
    private static bool FindLeftovers(string stateDirectory, NodeSteering steering)
    {
        try
        {
            if (!steering.FindLeftovers())
            {
                return false;
            }
        }
        catch (SteeringException e)
        {
            throw new AgentException(e.Message, e);
        }

        return LostProcesses.FindAgent(stateDirectory) is not { } pid
            ? true
            : throw new AgentException($"An agent (process {pid}) runs, though its state directory '{stateDirectory}' was removed. Stop it first.");
    }

    private static StateLease TakeLease(string stateDirectory, AgentRecord? record)
    {
        try
        {
            return StateLease.TakeForAgent(stateDirectory);
        }
        catch (IOException e)
        {
            string who = record is null ? "" : $" (process {record.Pid})";
            throw new AgentException($"An agent{who} runs with the state directory '{stateDirectory}'. Stop it first.", e);
        }
    }
}
