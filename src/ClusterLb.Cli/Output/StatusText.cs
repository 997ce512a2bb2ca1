using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Cli.Output;

/// <summary>The status for people: one line per part, then what deserves a look.</summary>
internal static class StatusText
{
    /// <summary>Prints it.</summary>
    public static void Write(StatusView status, Terminal terminal)
    {
        TextWriter writer = terminal.Out;
        Line(writer, "ClusterLb", Summary(status));
        if (status.Agent is { } agent)
        {
            WriteAgent(agent, writer);
        }
        else
        {
            Line(writer, "Agent", status.AgentProblem ?? "no answer");
        }

        Line(writer, "Dataplane", Dataplane(status));
        if (status.Agent is not null)
        {
            Line(writer, "Restarts", Restarts(status.Agent));
        }

        Line(writer, "Maps", !status.Synced ? "before the first complete sync" : status.IsWhole ? "complete" : "NOT complete");
        Line(writer, "Flows", Flows(status));
        if (status.Packets is { } packets)
        {
            Line(writer, "Packets", string.Join(", ", packets.Select(pair => $"{pair.Key} {pair.Value}")));
        }

        if (status.Special is { } special && special.Values.Any(count => count > 0))
        {
            Line(writer, "Of these", string.Join(", ", special.Where(pair => pair.Value > 0).Select(pair => $"{pair.Key} {pair.Value}")));
        }

        if (status.Drops is { Count: > 0 } drops)
        {
            Line(writer, "Reasons", string.Join(", ", drops.OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}")));
        }

        WriteRefused(status, writer);
        writer.WriteLine();
        var table = new TextTable("MAP", "ENTRIES", "CAPACITY", "FILL");
        foreach (MapStatus map in status.Maps)
        {
            table.Add(map.Name, $"{map.Count}", $"{map.Capacity}", $"{100.0 * map.Count / Math.Max(1, map.Capacity):0.0} %");
        }

        table.WriteTo(writer, terminal.Width);
        if (status.Capabilities.Count > 0)
        {
            writer.WriteLine();
            CapabilityText.Write(status.Capabilities, terminal);
        }
    }

    private static void WriteAgent(AgentStatus agent, TextWriter writer)
    {
        Line(writer, "Agent", $"{(agent.Healthy ? "healthy" : "not healthy")}, pid {agent.Pid}, version {agent.Version}, since {agent.StartedAt.LocalDateTime:yyyy-MM-dd HH:mm:ss}");
        Line(writer, "Node", agent.NodeEligible ? agent.NodeName : $"{agent.NodeName}, is being drained");
        string synced = agent.Sync.LastSync is { } last ? $"last sync {last.LocalDateTime:HH:mm:ss}" : "not synced yet";
        Line(writer, "Source", $"{agent.Sync.Source}: {agent.Sync.Services} services, {agent.Sync.Backends} backends, {synced}");
        if (agent.Sync.Server is { } server)
        {
            WriteServer(server, writer);
        }

        SteeringStatus steering = agent.Steering;
        Line(writer, "Steering", $"{(steering.Installed ? "installed" : "NOT installed")} on {steering.Device} (MTU {steering.Mtu})" +
            $"{(steering.Destinations.Count == 0 ? "" : $": {string.Join(", ", steering.Destinations)}")}" +
            $"{(steering.DestinationsGuessed ? " (guessed: configure serviceCIDRs)" : steering.DestinationsOrigin.Length > 0 ? $" (by {steering.DestinationsOrigin})" : "")}");
        foreach (BridgeStatus bridge in steering.Bridges)
        {
            Line(writer, "Bridge", $"{bridge.Name} {bridge.Subnet}: {bridge.What}");
        }

        if (steering.NodePorts + steering.ExternalFrontends > 0)
        {
            Line(writer, "External", $"{steering.NodePorts} node ports, {steering.ExternalFrontends} frontends at load balancer and external addresses");
        }

        foreach (string problem in agent.Sync.Problems.Append(agent.Sync.LastError).Append(steering.LastError).Append(agent.DataplaneState).Concat(agent.Warnings))
        {
            if (problem.Length > 0)
            {
                Line(writer, "Problem", problem);
            }
        }
    }

    private static void WriteServer(ServerStatus server, TextWriter writer)
    {
        string state = server.Connected ? "connected" : "NOT connected, what is known is served";
        Line(writer, "API server", $"{server.Server}: {state}, since {server.Since.LocalDateTime:yyyy-MM-dd HH:mm:ss}");
        Line(writer, "Watches", string.Join(", ", server.Watches.Select(watch => $"{watch.Resource} {watch.State} ({watch.Objects})")));
        if (server.DroppedEvents > 0)
        {
            Line(writer, "Events", $"{server.DroppedEvents} were not written since the start; what they say is under Problems and in the log");
        }

        if (server.LastError.Length > 0)
        {
            Line(writer, "Problem", server.LastError);
        }
    }

    /// <summary>A table of the dataplane's that was full is no matter of one packet.</summary>
    private static void WriteRefused(StatusView status, TextWriter writer)
    {
        foreach ((DropReason reason, string why) in (ReadOnlySpan<(DropReason, string)>)
            [(DropReason.SnatPortsExhausted, "no source port was free towards a backend (conntrack.snatPorts)"),
             (DropReason.ConntrackFull, "the flow table was full (conntrack.ipv4, conntrack.ipv6)")])
        {
            if (status.Drops?.GetValueOrDefault(reason.ToString()) is > 0 and var count)
            {
                Line(writer, "Refused", $"{count} packets of new flows: {why}");
            }
        }
    }

    private static string Flows(StatusView status) => status switch
    {
        { Flows: null } => "only root may look",
        { Orphans: > 0 } => $"{status.Flows}; {status.Orphans} of them TCP whose backend has left its service",
        _ => $"{status.Flows}",
    };

    private static string Summary(StatusView status) => status switch
    {
        { IsHealthy: true, Agent.NodeEligible: false } => "Ok; the node is being drained: /healthz says 503, so that balancers send no new connections",
        { IsHealthy: true } => "Ok",
        { IsServing: true, Agent: null } => "DEGRADED: traffic is served, but no agent follows changes",
        { IsServing: true, IsFollowing: false, Agent.Healthy: true, IsWhole: true } =>
            "DEGRADED: what is known is served, but changes in the API server are not followed",
        { IsServing: true, Agent.Healthy: true } => "DEGRADED: traffic is served, but not of all services as it should be",
        { IsServing: true } => "DEGRADED: traffic is served, but the agent is not healthy",
        _ => "DOWN: traffic is not served",
    };

    private static string Dataplane(StatusView status)
    {
        string alive = status.Workers == 0 ? "no worker alive" : status.Workers == 1 ? "1 worker alive" : $"{status.Workers} workers alive";
        string age = status.HeartbeatAgeMs is { } ms ? $", last heartbeat {ms} ms ago" : "";
        DataplaneStatus? told = status.Agent?.Dataplane;
        return told is null ? alive + age : $"pid {told.Pid}, version {told.Version}, {(told.Serving ? "serving" : "NOT serving")}, {alive}{age}";
    }

    private static string Restarts(AgentStatus agent)
    {
        string start = agent.DataplaneStart switch
        {
            DataplaneStart.Adopted => "adopted from the agent before",
            DataplaneStart.Replaced => "replaced the one of the agent before",
            DataplaneStart.Succeeded => "had followed the one of the agent before",
            _ => "started by this agent",
        };
        string successor = agent.Successor is { } pid ? $"pid {pid} is ready to follow" : "none is ready to follow";
        return $"generation {agent.Dataplane?.Generation ?? 0}, {start}, {agent.DataplaneRestarts} ended unasked since; {successor}";
    }

    private static void Line(TextWriter writer, string name, string text) => writer.WriteLine($"{name + ":",-12}{text}");
}
