using ClusterLb.Dataplane;

namespace ClusterLb.Tests.Simulation;

/// <summary>What a pod is doing, whatever the control plane knows of it.</summary>
internal enum PodPhase
{
    Absent,
    Starting,
    Ready,
    Unready,
    Terminating, // still serving
    Stopping, // not serving any more, its addresses not free yet
}

/// <summary>A place for a pod: its addresses stay, pods come and go. Each pod of a place is another instance.</summary>
internal sealed class Pod(int number)
{
    private readonly Dictionary<string, bool> _connections = [];

    public IpAddr Ipv4 { get; } = IpAddr.Parse($"10.244.{number % 2}.{number + 1}");

    public IpAddr Ipv6 { get; } = IpAddr.Parse($"fd00:10:244:{number % 2}::{number + 1}");

    public string Node => number % 2 == 0 ? SimulatedCluster.NodeName : "node-b";

    public string Zone => number % 2 == 0 ? "east" : "west";

    public PodPhase Phase { get; private set; }

    /// <summary>Which pod of this place; never the same again.</summary>
    public uint Instance { get; private set; }

    /// <summary>Its program runs.</summary>
    public bool Listens => Phase is not (PodPhase.Absent or PodPhase.Stopping);

    public bool Has(IpAddr address) => address == Ipv4 || address == Ipv6;

    /// <summary>What pods do next; from everywhere they may be gone at once.</summary>
    public void Change(Random random)
    {
        PodPhase before = Phase;
        Phase = before switch
        {
            PodPhase.Absent => random.Next(3) == 0 ? PodPhase.Starting : PodPhase.Ready,
            PodPhase.Starting or PodPhase.Unready => PodPhase.Ready,
            PodPhase.Ready => random.Next(5) switch { 0 => PodPhase.Unready, 1 => PodPhase.Absent, _ => PodPhase.Terminating },
            PodPhase.Terminating => random.Next(2) == 0 ? PodPhase.Stopping : PodPhase.Absent,
            _ => PodPhase.Absent,
        };
        if (before == PodPhase.Absent)
        {
            Instance += 1;
            _connections.Clear();
        }
    }

    /// <summary>A SYN.</summary>
    public void Accept(string peer) => _connections[peer] = false;

    /// <summary>What follows a SYN.</summary>
    public void Establish(string peer) => _connections[peer] = true;

    /// <summary>It has this connection.</summary>
    public bool Knows(string peer) => _connections.ContainsKey(peer);

    /// <summary>It has this connection, and the handshake is over: another SYN changes nothing (RFC 5961, section 4.2).</summary>
    public bool IsEstablished(string peer) => _connections.GetValueOrDefault(peer);

    /// <summary>A FIN or RST.</summary>
    public void Close(string peer) => _connections.Remove(peer);
}
