using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Model;

/// <summary>The names of selection algorithms in annotations, in the configuration and on the screen.</summary>
public static class AlgorithmNames
{
    private static readonly (SelectionAlgorithm Algorithm, string Name)[] Own =
    [
        (SelectionAlgorithm.Random, "random"),
        (SelectionAlgorithm.Maglev, "maglev"),
        (SelectionAlgorithm.RoundRobin, "round-robin"),
        (SelectionAlgorithm.LeastConnections, "least-connections"),
        (SelectionAlgorithm.SourceHash, "source-hash"),
        (SelectionAlgorithm.DestinationHash, "destination-hash"),
        (SelectionAlgorithm.ShortestExpectedDelay, "shortest-expected-delay"),
    ];

    // Endpoints have no weights, so the weighted schedulers are the plain ones, and "never queue" (an idle server, else sed) is sed.
    // The locality-based ones keep to one server per destination while it is not overloaded, which nobody tells us: destination hash.
    private static readonly (SelectionAlgorithm Algorithm, string Name)[] Ipvs =
    [
        (SelectionAlgorithm.RoundRobin, "rr"),
        (SelectionAlgorithm.RoundRobin, "wrr"),
        (SelectionAlgorithm.LeastConnections, "lc"),
        (SelectionAlgorithm.LeastConnections, "wlc"),
        (SelectionAlgorithm.SourceHash, "sh"),
        (SelectionAlgorithm.DestinationHash, "dh"),
        (SelectionAlgorithm.DestinationHash, "lblc"),
        (SelectionAlgorithm.DestinationHash, "lblcr"),
        (SelectionAlgorithm.ShortestExpectedDelay, "sed"),
        (SelectionAlgorithm.ShortestExpectedDelay, "nq"),
        (SelectionAlgorithm.Maglev, "mh"),
    ];

    /// <summary>Our names, for messages.</summary>
    public static string All { get; } = string.Join(", ", Own.Select(pair => pair.Name));

    /// <summary>The names of ipvs.scheduler, for messages.</summary>
    public static string Schedulers { get; } = string.Join(", ", Ipvs.Select(pair => pair.Name));

    /// <summary>Our name of an algorithm.</summary>
    public static string Of(SelectionAlgorithm algorithm) =>
        Array.Find(Own, pair => pair.Algorithm == algorithm).Name ?? (algorithm == SelectionAlgorithm.Default ? Own[0].Name : $"{(int)algorithm}");

    /// <summary>Reads one of our names, or one of IPVS.</summary>
    public static bool TryParse(string text, out SelectionAlgorithm algorithm)
    {
        algorithm = Array.Find(Own, pair => pair.Name == text).Algorithm;
        return algorithm != SelectionAlgorithm.Default || TryParseScheduler(text, out algorithm);
    }

    /// <summary>Reads a name of ipvs.scheduler.</summary>
    public static bool TryParseScheduler(string text, out SelectionAlgorithm algorithm)
    {
        algorithm = Array.Find(Ipvs, pair => pair.Name == text).Algorithm;
        return algorithm != SelectionAlgorithm.Default;
    }
}
