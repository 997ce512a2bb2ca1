using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Workers of the dataplane give signs of life.</summary>
internal sealed class DataplaneCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "dataplane";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        if (!Directory.Exists(node.StateDirectory))
        {
            return Finding.NotApplicable($"there is no {node.StateDirectory}");
        }

        TimeSpan now = TimeProvider.System.GetElapsedTime(0);
        int alive = WorkerSlots.Read(node.StateDirectory)
            .Count(beat => now - TimeSpan.FromMicroseconds(beat.TimeNs / 1000.0) < WorkerSlots.LongestSilence);
        return alive > 0
            ? Finding.Ok($"{alive} workers alive")
            : Finding.Failed("no worker has given a sign of life", "no packet to a service is answered",
                node.Agent is null ? "start the agent: it starts a dataplane" : "`clusterlb status` says why the agent has none");
    }
}
